//! Clients that are registered in the store: `device-grant client` writes them, every replica reads them.
//!
//! An index says which there are, in which version; so a replica learns what has changed by one read, knows everybody
//! from memory, and goes on knowing them while the store is away. Each registration is sealed with a MAC under a durable
//! key: whoever can write the table, and has no keys, registers nobody and changes nobody.

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_protocol::{ClientId, ClientSecret};
use serde::{Deserialize, Serialize};

use super::SecretHash;
use crate::entropy::{Entropy, bytes};
use crate::keyring::{Keyring, OpenError, Purpose};
use crate::records::{Record, RecordKind, RecordStore};
use crate::store::Unavailable;
use crate::time::Timestamp;

pub(crate) const INDEX: &str = "clients";
/// A secret of our own making says so, for whoever finds one where it should not be.
const SECRET_PREFIX: &str = "dgs1_";
const TRIES: usize = 8;
const SEAL_LABEL: &str = "client-registration";

/// A client as it stands in the store. Nothing in it is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its settings, as a `[[client]]` of the configuration has them, without its id and secrets.
    pub settings: String,
    /// Its secrets, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<StoredSecret>,
    /// Its public keys: a JWK set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
}

/// What is kept of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSecret {
    /// The durable key that its hash is made with.
    pub key: u8,
    mac: String,
    /// Until when it is good; `None`: until it is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A registration as it stands in the store.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    registration: Registration,
    /// The durable key that the MAC is made with.
    sealed_with: u8,
    seal: String,
}

/// Which clients there are, each with the version of its record.
pub type Index = BTreeMap<ClientId, u64>;

/// Why a registration was not read or not written.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// What stands in the store was not written by anybody who has the keys.
    #[error("the registration was altered in the store: remove it, and register the client anew")]
    Altered,
    /// It is sealed with a key that this keyring lacks.
    #[error("the registration cannot be checked here: {0}")]
    KeyMissing(#[source] OpenError),
    /// There is one of that id.
    #[error("a client of this id is registered already")]
    Exists,
    /// There is none of that id.
    #[error("no client of this id is registered")]
    Unknown,
    /// Others went on changing it meanwhile.
    #[error("others change the registered clients at the same time: try again")]
    Busy,
    /// The store does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A secret of 256 random bits.
pub fn fresh_secret(entropy: &dyn Entropy) -> ClientSecret {
    ClientSecret::new(format!("{SECRET_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes::<32>(entropy))))
}

impl StoredSecret {
    /// What is kept of `secret`, under the active durable key.
    pub fn of(secret: &ClientSecret, keyring: &Keyring) -> Self {
        Self::from(SecretHash::keyed(secret.expose(), keyring))
    }

    /// The same, good until then.
    pub fn until(self, until: Option<Timestamp>) -> Self {
        Self { until, ..self }
    }

    /// Whether both keep the same hash, whatever their times.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        (self.key, &self.mac) == (other.key, &other.mac)
    }

    /// The hash to compare with; `None` if the record is broken.
    pub fn hash(&self) -> Option<SecretHash> {
        let mac = BASE64_URL_SAFE_NO_PAD.decode(&self.mac).ok()?;
        Some(SecretHash::Keyed { key: self.key, mac: mac.try_into().ok()? })
    }
}

impl From<SecretHash> for StoredSecret {
    fn from(hash: SecretHash) -> Self {
        let (key, mac) = match hash {
            SecretHash::Keyed { key, mac } => (key, mac),
            SecretHash::Plain(hash) => (0, hash),
        };
        Self { key, mac: BASE64_URL_SAFE_NO_PAD.encode(mac), until: None }
    }
}

/// The registered clients of one store.
#[derive(Clone, Copy)]
pub struct Registry<'a> {
    records: &'a dyn RecordStore,
    keyring: &'a Keyring,
}

impl<'a> Registry<'a> {
    /// Those that `records` has, sealed with keys of `keyring`.
    pub const fn new(records: &'a dyn RecordStore, keyring: &'a Keyring) -> Self {
        Self { records, keyring }
    }

    /// Which clients there are.
    pub async fn index(self) -> Result<Index, Unavailable> {
        Ok(self.read_index().await?.0)
    }

    /// The registration of `id`.
    pub async fn find(self, id: &ClientId) -> Result<Option<Registration>, RegistryError> {
        Ok(self.stored(id).await?.map(|(stored, _)| stored.registration))
    }

    /// The clients with a secret that is good at `now` and hashed under the durable key `number`, or with a seal of that
    /// key.
    pub async fn resting_on(self, number: u8, now: Timestamp) -> Result<Vec<ClientId>, RegistryError> {
        let mut resting = Vec::new();
        for id in self.index().await?.into_keys() {
            let Some((stored, _)) = self.stored(&id).await? else { continue };
            let rests =
                |secret: &StoredSecret| secret.key == number && secret.until.is_none_or(|until| now < until);
            if stored.sealed_with == number || stored.registration.secrets.iter().any(rests) {
                resting.push(id);
            }
        }
        Ok(resting)
    }

    /// Seals with the active key whatever is sealed with another one.
    pub async fn seal_anew(self) -> Result<(), RegistryError> {
        for id in self.index().await?.into_keys() {
            let Some((stored, _)) = self.stored(&id).await? else { continue };
            if stored.sealed_with != self.keyring.active(Purpose::Durable) {
                self.change(&id, |_| true).await?;
            }
        }
        Ok(())
    }

    /// Registers a client.
    pub async fn add(self, id: &ClientId, registration: &Registration) -> Result<(), RegistryError> {
        if self.index().await?.contains_key(id) {
            return Err(RegistryError::Exists);
        }
        // What is not in the index is left over from an addition or a removal that was broken off.
        let left_over = self.records.record(RecordKind::Client, id.as_str()).await?;
        self.put(id, registration, left_over.map_or(0, |record| record.version)).await
    }

    /// Changes the registration of `id`; `change` says whether there is anything to change.
    pub async fn change(
        self,
        id: &ClientId,
        change: impl Fn(&mut Registration) -> bool,
    ) -> Result<(), RegistryError> {
        for _ in 0..TRIES {
            if !self.index().await?.contains_key(id) {
                return Err(RegistryError::Unknown);
            }
            let (Stored { mut registration, .. }, version) =
                self.stored(id).await?.ok_or(RegistryError::Unknown)?;
            if !change(&mut registration) {
                return Ok(());
            }
            match self.put(id, &registration, version).await {
                Err(RegistryError::Busy) => {}
                done => return done,
            }
        }
        Err(RegistryError::Busy)
    }

    /// Removes the registration of `id`.
    pub async fn remove(self, id: &ClientId) -> Result<(), RegistryError> {
        if !self.index().await?.contains_key(id) {
            return Err(RegistryError::Unknown);
        }
        self.change_index(|index| index.remove(id)).await?;
        self.records.remove_record(RecordKind::Client, id.as_str()).await?;
        Ok(())
    }

    async fn put(
        self,
        id: &ClientId,
        registration: &Registration,
        replaces: u64,
    ) -> Result<(), RegistryError> {
        let (sealed_with, mac) = self.keyring.durable_mac(SEAL_LABEL, &sealed_part(id, registration));
        let seal = BASE64_URL_SAFE_NO_PAD.encode(mac);
        let stored = Stored { registration: registration.clone(), sealed_with, seal };
        let data = serde_json::to_string(&stored).expect("plain data always serializes");
        if !self.records.put_record(RecordKind::Client, id.as_str(), (&data, replaces), None).await? {
            return Err(RegistryError::Busy);
        }
        self.change_index(|index| index.insert(id.clone(), replaces + 1)).await
    }

    /// What stands at `id`, its seal checked, and in which version.
    async fn stored(self, id: &ClientId) -> Result<Option<(Stored, u64)>, RegistryError> {
        let record = self.records.record(RecordKind::Client, id.as_str()).await?;
        record.map(|record| Ok((self.open(id, &record)?, record.version))).transpose()
    }

    fn open(self, id: &ClientId, record: &Record) -> Result<Stored, RegistryError> {
        let stored: Stored = serde_json::from_str(&record.data).map_err(|_| RegistryError::Altered)?;
        let sealed_part = sealed_part(id, &stored.registration);
        let mac = self.keyring.durable_mac_under(stored.sealed_with, SEAL_LABEL, &sealed_part);
        let mac = mac.map_err(RegistryError::KeyMissing)?;
        let seal = BASE64_URL_SAFE_NO_PAD.decode(&stored.seal).unwrap_or_default();
        verify_slices_are_equal(&mac, &seal).map_err(|_| RegistryError::Altered)?;
        Ok(stored)
    }

    async fn change_index(self, change: impl Fn(&mut Index) -> Option<u64>) -> Result<(), RegistryError> {
        for _ in 0..TRIES {
            let (mut index, version) = self.read_index().await?;
            change(&mut index);
            let data = serde_json::to_string(&index).expect("names and numbers always serialize");
            if self.records.put_record(RecordKind::Index, INDEX, (&data, version), None).await? {
                return Ok(());
            }
        }
        Err(RegistryError::Busy)
    }

    async fn read_index(self) -> Result<(Index, u64), Unavailable> {
        match self.records.record(RecordKind::Index, INDEX).await? {
            Some(record) => {
                let index = serde_json::from_str(&record.data);
                Ok((index.map_err(|error| Unavailable(error.into()))?, record.version))
            }
            None => Ok((Index::new(), 0)),
        }
    }
}

fn sealed_part(id: &ClientId, registration: &Registration) -> Vec<u8> {
    serde_json::to_vec(&(id, registration)).expect("plain data always serializes")
}
