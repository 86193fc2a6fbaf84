//! Keys in the store, each wrapped by KMS: the store alone opens nothing, and KMS tells its trail who has opened them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use device_grant_aws::{KeyContext, Kms, WrappedKey};
use device_grant_domain::records::{RecordKind, RecordStore};
use device_grant_domain::{Clock, KeyMaterial, Purpose, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The record with all of them: one write changes them together.
const ID: &str = "wrapped";

/// The keyring of one store.
pub(crate) struct Wrapped {
    records: Arc<dyn RecordStore>,
    kms: Kms,
    place: String,
    known: Mutex<Known>,
}

/// What was read last.
#[derive(Default)]
struct Known {
    version: u64,
    wrapped: BTreeMap<(Purpose, u8), WrappedKey>,
}

/// The record.
#[derive(Serialize, Deserialize)]
struct Stored {
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    number: u8,
    purpose: Purpose,
    active: bool,
    activated_at: Option<Timestamp>,
    /// In base64.
    wrapped: String,
}

impl Wrapped {
    pub(super) fn new(records: Arc<dyn RecordStore>, kms: Kms, place: String) -> Self {
        Self { records, kms, place, known: Mutex::default() }
    }

    pub(super) fn name(&self) -> String {
        format!("the store, under the KMS key {}", self.kms.key())
    }

    /// The keys, opened by KMS; `None` where nobody has written since they were read.
    pub(super) async fn read(&self) -> anyhow::Result<Option<Vec<KeyMaterial>>> {
        let record = self.records.record(RecordKind::Key, ID).await?;
        let record = record.context("the store has no keys: the first server that starts makes them")?;
        if self.known().version == record.version {
            return Ok(None);
        }
        let stored: Stored =
            serde_json::from_str(&record.data).context("the record of the keys is broken")?;
        let (mut keys, mut wrapped) = (Vec::new(), BTreeMap::new());
        for StoredKey { number, purpose, active, activated_at, wrapped: text } in stored.keys {
            let bytes = BASE64_STANDARD.decode(text).context("the record of the keys is broken")?;
            let key = WrappedKey(bytes);
            let secret = self.open(purpose, number, &key).await?;
            wrapped.insert((purpose, number), key);
            keys.push(KeyMaterial { number, purpose, active, activated_at, secret });
        }
        *self.known() = Known { version: record.version, wrapped };
        Ok(Some(keys))
    }

    /// Whether there are keys.
    pub(super) async fn is_there(&self) -> anyhow::Result<bool> {
        Ok(self.records.record(RecordKind::Key, ID).await?.is_some())
    }

    /// The same; where there are none they are made, and of several servers that do so at once one writes them.
    pub(super) async fn read_or_make(&self) -> anyhow::Result<Option<Vec<KeyMaterial>>> {
        if !self.is_there().await? {
            let mut keys = Vec::new();
            for purpose in [Purpose::Request, Purpose::Durable] {
                let secret = self.fresh(purpose, 1).await?;
                let activated_at = Some(SystemClock.now());
                keys.push(KeyMaterial { number: 1, purpose, active: true, activated_at, secret });
            }
            if self.put(&keys).await? {
                tracing::info!("made the first keys, in {}", self.name());
            }
            *self.known() = Known::default();
        }
        self.read().await
    }

    /// A fresh key. It is to be saved with the others.
    pub(super) async fn fresh(&self, purpose: Purpose, number: u8) -> anyhow::Result<Zeroizing<[u8; 32]>> {
        let key = self.kms.make(self.context(&name(purpose, number))).await?;
        let secret = self.open(purpose, number, &key).await?;
        self.known().wrapped.insert((purpose, number), key);
        Ok(secret)
    }

    /// Writes `keys` in the place of those that were read.
    pub(super) async fn save(&self, keys: &[KeyMaterial]) -> anyhow::Result<()> {
        let written = self.put(keys).await?;
        ensure!(written, "somebody else has changed the keys meanwhile; look at them, and try again");
        self.known().version += 1;
        Ok(())
    }

    async fn put(&self, keys: &[KeyMaterial]) -> anyhow::Result<bool> {
        let (data, version) = {
            let known = self.known();
            let stored = |key: &KeyMaterial| {
                let wrapped =
                    known.wrapped.get(&(key.purpose, key.number)).context("a key that was not read here")?;
                anyhow::Ok(StoredKey {
                    number: key.number,
                    purpose: key.purpose,
                    active: key.active,
                    activated_at: key.activated_at,
                    wrapped: BASE64_STANDARD.encode(&wrapped.0),
                })
            };
            let keys = keys.iter().map(stored).collect::<Result<_, _>>()?;
            (serde_json::to_string(&Stored { keys })?, known.version)
        };
        Ok(self.records.put_record(RecordKind::Key, ID, (&data, version), None).await?)
    }

    async fn open(
        &self,
        purpose: Purpose,
        number: u8,
        key: &WrappedKey,
    ) -> anyhow::Result<Zeroizing<[u8; 32]>> {
        Ok(self.kms.open(key, self.context(&name(purpose, number))).await?)
    }

    fn context<'a>(&'a self, name: &'a str) -> KeyContext<'a> {
        KeyContext { table: &self.place, name }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(purpose: Purpose, number: u8) -> String {
    format!("{}/{number}", purpose.as_str())
}
