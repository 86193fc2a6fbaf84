//! Keys in the store, each wrapped by KMS: the store alone opens nothing, and KMS tells its trail who has opened them.
//!
//! Somebody may write to the store who has no keys. So the record is sealed under a durable key, with its version: whoever has
//! read it takes no earlier one for it, under whatever number; and fresh keys are made only where there were none.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, anyhow, bail, ensure};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use device_grant_aws::{KeyContext, Kms, WrappedKey};
use device_grant_domain::records::{Record, RecordKind, RecordStore};
use device_grant_domain::{Clock, KeyMaterial, Keyring, Purpose, SystemClock, Timestamp, keys};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The record with all of them: one write changes them together.
const ID: &str = "wrapped";
const SEAL_LABEL: &str = "wrapped-keys";

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
    /// The record itself.
    data: String,
    wrapped: BTreeMap<(Purpose, u8), WrappedKey>,
}

/// The record.
#[derive(Serialize, Deserialize)]
struct Stored {
    keys: Vec<StoredKey>,
    /// A MAC over these and the version of the record, under the active durable key among them; in base64.
    seal: String,
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
        let Some(record) = self.record().await? else {
            ensure!(
                self.known().version == 0,
                "{} is gone from the store: put it back from a backup, or no server will start any more",
                key()
            );
            self.refuse_if_there_were_keys().await?;
            bail!("the store has no keys: the first server that starts makes them");
        };
        if !self.known().is_before(&record)? {
            return Ok(None);
        }
        let broken = || format!("{} is broken", key());
        let stored: Stored = serde_json::from_str(&record.data).with_context(broken)?;
        let (mut keys, mut wrapped) = (Vec::new(), BTreeMap::new());
        for stored in &stored.keys {
            let key = WrappedKey(BASE64_STANDARD.decode(&stored.wrapped).with_context(broken)?);
            let material = self.material(stored, &key).await?;
            wrapped.insert((material.purpose, material.number), key);
            keys.push(material);
        }
        let seal = BASE64_STANDARD.decode(&stored.seal).with_context(broken)?;
        ensure!(
            verify_slices_are_equal(&seal, &mac(record.version, &stored.keys, &keys)?).is_ok(),
            "{} was altered in the store, or is an earlier one under a later number: put the last one back from a backup",
            key()
        );
        *self.known() = Known { version: record.version, data: record.data, wrapped };
        Ok(Some(keys))
    }

    /// Whether there are keys. An error where there are none any more.
    pub(super) async fn is_there(&self) -> anyhow::Result<bool> {
        if self.record().await?.is_some() {
            return Ok(true);
        }
        match self.refuse_if_there_were_keys().await {
            Ok(()) => Ok(false),
            // Another server may have made them just now, and more records with them.
            Err(refusal) => self.record().await?.map(|_| true).ok_or(refusal),
        }
    }

    /// The same as [`Wrapped::read`]; where there never were any they are made, and of several servers that do so at once one
    /// writes them.
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
            let stored: Vec<_> = keys.iter().map(stored).collect::<Result<_, _>>()?;
            let seal = BASE64_STANDARD.encode(mac(known.version + 1, &stored, keys)?);
            (serde_json::to_string(&Stored { keys: stored, seal })?, known.version)
        };
        let written = self.records.put_record(RecordKind::Key, ID, (&data, version), None).await?;
        if written {
            let mut known = self.known();
            (known.version, known.data) = (version + 1, data);
        }
        Ok(written)
    }

    async fn record(&self) -> anyhow::Result<Option<Record>> {
        Ok(self.records.record(RecordKind::Key, ID).await?)
    }

    /// An error if the store shows that servers with keys have run on it. Fresh ones would open nothing that rests on those, and
    /// nobody would be told.
    async fn refuse_if_there_were_keys(&self) -> anyhow::Result<()> {
        let traces = keys::traces();
        for (kind, id) in &traces {
            if self.records.record(*kind, id).await?.is_some() {
                let all = traces.each_ref().map(|(kind, id)| kind.key(id)).join(", ");
                return Err(anyhow!(
                    "the store has no keys, in {}, although servers with keys have run on it: it has {}. Put {0} back from a \
                     backup of this very store. If the keys were elsewhere before, name that place again. If they are lost, so \
                     is what rests on them: devices behind the shared pool client have to log in again, and registered clients to \
                     be registered again; to begin anew, stop every server and delete {all}",
                    key(),
                    kind.key(id),
                ));
            }
        }
        Ok(())
    }

    async fn material(&self, stored: &StoredKey, key: &WrappedKey) -> anyhow::Result<KeyMaterial> {
        let &StoredKey { number, purpose, active, activated_at, .. } = stored;
        let secret = self.open(purpose, number, key).await?;
        Ok(KeyMaterial { number, purpose, active, activated_at, secret })
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

impl Known {
    /// Whether `record` is a later one than this. Nobody who changes keys writes an earlier one, or another of the same version.
    fn is_before(&self, record: &Record) -> anyhow::Result<bool> {
        match record.version.cmp(&self.version) {
            Ordering::Greater => Ok(true),
            Ordering::Equal if record.data == self.data => Ok(false),
            _ => bail!(
                "{} was put back to an earlier one, or replaced: it has the version {}, and version {} was read before. If that \
                 was you, start every server again; if not, put the last one back from a backup, and see who writes to the store",
                key(),
                record.version,
                self.version
            ),
        }
    }
}

/// What shows that these keys were written together, by somebody who has them, as this version of the record.
fn mac(version: u64, stored: &[StoredKey], keys: &[KeyMaterial]) -> anyhow::Result<[u8; 32]> {
    let sealed_part = serde_json::to_vec(&(version, stored))?;
    Ok(Keyring::new(keys.to_vec())?.durable_mac(SEAL_LABEL, &sealed_part).1)
}

/// What an operator finds the record by.
fn key() -> String {
    RecordKind::Key.key(ID)
}

fn name(purpose: Purpose, number: u8) -> String {
    format!("{}/{number}", purpose.as_str())
}

#[cfg(test)]
mod tests;
