//! Clients that are registered in the store: `device-grant client` writes them, every replica reads them.
//!
//! An index says which there are, in which version; so a replica learns what has changed by one read, knows everybody
//! from memory, and goes on knowing them while the store is away.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_protocol::{ClientId, ClientSecret};
use serde::{Deserialize, Serialize};

use super::SecretHash;
use crate::entropy::{Entropy, bytes};
use crate::keyring::Keyring;
use crate::records::{Record, RecordKind, RecordStore};
use crate::store::Unavailable;
use crate::time::Timestamp;

const INDEX: &str = "clients";
/// A secret of our own making says so, for whoever finds one where it should not be.
const SECRET_PREFIX: &str = "dgs1_";
const TRIES: usize = 8;

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

/// Which clients there are, each with the version of its record.
pub type Index = BTreeMap<ClientId, u64>;

/// Why a registration was not written.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
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

/// Which clients there are.
pub async fn index(records: &dyn RecordStore) -> Result<Index, Unavailable> {
    Ok(read_index(records).await?.0)
}

/// The registration of `id`.
pub async fn find(records: &dyn RecordStore, id: &ClientId) -> Result<Option<Registration>, Unavailable> {
    let record = records.record(RecordKind::Client, id.as_str()).await?;
    record.map(|record| parse(&record)).transpose()
}

/// The clients with a secret that is good at `now` and hashed under the durable key `number`.
pub async fn resting_on(
    records: &dyn RecordStore,
    number: u8,
    now: Timestamp,
) -> Result<Vec<ClientId>, Unavailable> {
    let rests = |secret: &StoredSecret| secret.key == number && secret.until.is_none_or(|until| now < until);
    let mut resting = Vec::new();
    for id in index(records).await?.into_keys() {
        let found = find(records, &id).await?;
        if found.is_some_and(|found| found.secrets.iter().any(rests)) {
            resting.push(id);
        }
    }
    Ok(resting)
}

/// Registers a client.
pub async fn add(
    records: &dyn RecordStore,
    id: &ClientId,
    registration: &Registration,
) -> Result<(), RegistryError> {
    if index(records).await?.contains_key(id) {
        return Err(RegistryError::Exists);
    }
    // What is not in the index is left over from an addition or a removal that was broken off.
    let left_over = records.record(RecordKind::Client, id.as_str()).await?.map_or(0, |record| record.version);
    put(records, id, registration, left_over).await
}

/// Changes the registration of `id`; `change` says whether there is anything to change.
pub async fn change(
    records: &dyn RecordStore,
    id: &ClientId,
    change: impl Fn(&mut Registration) -> bool,
) -> Result<(), RegistryError> {
    for _ in 0..TRIES {
        if !index(records).await?.contains_key(id) {
            return Err(RegistryError::Unknown);
        }
        let record = records.record(RecordKind::Client, id.as_str()).await?.ok_or(RegistryError::Unknown)?;
        let mut registration: Registration = parse(&record)?;
        if !change(&mut registration) {
            return Ok(());
        }
        match put(records, id, &registration, record.version).await {
            Err(RegistryError::Busy) => {}
            done => return done,
        }
    }
    Err(RegistryError::Busy)
}

/// Removes the registration of `id`.
pub async fn remove(records: &dyn RecordStore, id: &ClientId) -> Result<(), RegistryError> {
    if !index(records).await?.contains_key(id) {
        return Err(RegistryError::Unknown);
    }
    change_index(records, |index| index.remove(id)).await?;
    records.remove_record(RecordKind::Client, id.as_str()).await?;
    Ok(())
}

async fn put(
    records: &dyn RecordStore,
    id: &ClientId,
    registration: &Registration,
    replaces: u64,
) -> Result<(), RegistryError> {
    let data = serde_json::to_string(registration).expect("plain data always serializes");
    if !records.put_record(RecordKind::Client, id.as_str(), (&data, replaces), None).await? {
        return Err(RegistryError::Busy);
    }
    change_index(records, |index| index.insert(id.clone(), replaces + 1)).await
}

async fn change_index(
    records: &dyn RecordStore,
    change: impl Fn(&mut Index) -> Option<u64>,
) -> Result<(), RegistryError> {
    for _ in 0..TRIES {
        let (mut index, version) = read_index(records).await?;
        change(&mut index);
        let data = serde_json::to_string(&index).expect("names and numbers always serialize");
        if records.put_record(RecordKind::Index, INDEX, (&data, version), None).await? {
            return Ok(());
        }
    }
    Err(RegistryError::Busy)
}

async fn read_index(records: &dyn RecordStore) -> Result<(Index, u64), Unavailable> {
    match records.record(RecordKind::Index, INDEX).await? {
        Some(record) => Ok((parse(&record)?, record.version)),
        None => Ok((Index::new(), 0)),
    }
}

fn parse<T: for<'a> Deserialize<'a>>(record: &Record) -> Result<T, Unavailable> {
    serde_json::from_str(&record.data).map_err(|error| Unavailable(error.into()))
}
