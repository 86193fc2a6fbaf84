//! Keys in life: what replicas tell one another of theirs, so that no key is used before all of them have it, none is
//! retired while something depends on it, and a replica that lacks one says so.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::registry::INDEX;
use crate::keyring::{KeyName, Purpose};
use crate::records::{Record, RecordKind, RecordStore};
use crate::service::DeviceGrant;
use crate::store::Unavailable;
use crate::time::Timestamp;

/// How often a replica tells of its keys, and looks which are active elsewhere.
pub const KEYS_PERIOD: Duration = Duration::from_secs(10);
/// A replica that was not heard for this long is gone.
pub const REPLICA_LIFE: Duration = Duration::from_mins(1);
const REPLICA: &str = "replica/";
const ACTIVE: &str = "active/";
const USED: &str = "used/";
const TRIES: usize = 5;

/// What one replica holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Its keys.
    pub keys: Vec<KeyName>,
    /// When it said so.
    pub at: Timestamp,
}

/// The key that seals, as it was activated last on any replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Activation {
    key: KeyName,
    since: Timestamp,
}

/// What this replica has noticed of keys.
#[derive(Debug, Default)]
pub(crate) struct KeyWatch {
    /// Active elsewhere, and not in this replica's keyring.
    missing: Mutex<Option<KeyName>>,
    /// Durable keys that are not active any more and that opened something here lately.
    used: Mutex<BTreeMap<u8, Timestamp>>,
}

impl KeyWatch {
    pub(crate) fn note_use(&self, number: u8, now: Timestamp) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(number, now);
    }
}

impl DeviceGrant {
    /// The key that seals on other replicas and that this one lacks. What such a key has sealed or hidden this replica cannot
    /// see, and must not take for unknown.
    pub fn missing_key(&self) -> Option<KeyName> {
        self.key_watch.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the others what `replica` holds, and learns what they have activated. To be called every [`KEYS_PERIOD`].
    pub async fn tend_keys(&self, replica: &str) -> Result<(), Unavailable> {
        let now = self.now();
        let mut missing = None;
        for purpose in [Purpose::Request, Purpose::Durable] {
            missing = missing.or(self.learn_active(purpose).await?);
        }
        let seen = self.missing_key();
        if seen != missing {
            if let Some(key) = &missing {
                tracing::error!(%key, "a key that is active elsewhere is not in this keyring");
            } else {
                tracing::info!("no key is missing any more");
            }
            *self.key_watch.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
        }
        let holding = Holding { keys: self.keyring.names(), at: now };
        overwrite(&*self.records, &format!("{REPLICA}{replica}"), &holding, Some(now + REPLICA_LIFE * 2))
            .await?;
        let used = std::mem::take(&mut *self.key_watch.used.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, at) in used {
            overwrite(&*self.records, &format!("{USED}{number}"), &at, None).await?;
        }
        Ok(())
    }

    /// `replica` ends: nobody waits for it to learn a key.
    pub async fn leave_keys(&self, replica: &str) -> Result<(), Unavailable> {
        self.records.remove_record(RecordKind::Key, &format!("{REPLICA}{replica}")).await.map(|_| ())
    }

    /// Looks which key of `purpose` was activated last, and says so if it was ours; the key, if it is not in our keyring.
    async fn learn_active(&self, purpose: Purpose) -> Result<Option<KeyName>, Unavailable> {
        let (key, since) = self.keyring.active_name(purpose);
        let own = Activation { key, since: since.unwrap_or_default() };
        let id = format!("{ACTIVE}{}", purpose.as_str());
        match read::<Activation>(&*self.records, &id).await? {
            Some(known) if known.key == own.key => Ok(None),
            // One that lies ahead of all clocks was written by nobody who activates keys.
            Some(known) if known.since > self.now() + self.settings.clock_skew => {
                tracing::error!(key = %known.key, since = %known.since, "a key that is to be active some day: ignored");
                overwrite(&*self.records, &id, &own, None).await.map(|()| None)
            }
            Some(known) if known.since >= own.since => {
                Ok(Some(known.key).filter(|key| !self.keyring.names().contains(key)))
            }
            _ => overwrite(&*self.records, &id, &own, None).await.map(|()| None),
        }
    }
}

/// What the replicas that live at `now` hold.
pub async fn holdings(
    records: &dyn RecordStore,
    now: Timestamp,
) -> Result<BTreeMap<String, Holding>, Unavailable> {
    let mut holdings = BTreeMap::new();
    for (id, record) in records.records(RecordKind::Key).await? {
        if let Some(replica) = id.strip_prefix(REPLICA) {
            let holding: Holding = parse(&record)?;
            if now < holding.at + REPLICA_LIFE {
                holdings.insert(replica.to_owned(), holding);
            }
        }
    }
    Ok(holdings)
}

/// When the durable key `number`, no longer active, opened something last.
pub async fn last_use(records: &dyn RecordStore, number: u8) -> Result<Option<Timestamp>, Unavailable> {
    read(records, &format!("{USED}{number}")).await
}

/// The records that a store has once servers with keys have run on it: which keys are active, and who is registered.
pub fn traces() -> [(RecordKind, String); 3] {
    let active = |purpose: Purpose| (RecordKind::Key, format!("{ACTIVE}{}", purpose.as_str()));
    [active(Purpose::Request), active(Purpose::Durable), (RecordKind::Index, INDEX.to_owned())]
}

async fn read<T: for<'a> Deserialize<'a>>(
    records: &dyn RecordStore,
    id: &str,
) -> Result<Option<T>, Unavailable> {
    records.record(RecordKind::Key, id).await?.map(|record| parse(&record)).transpose()
}

/// Whoever writes last counts.
async fn overwrite(
    records: &dyn RecordStore,
    id: &str,
    value: &impl Serialize,
    forget_at: Option<Timestamp>,
) -> Result<(), Unavailable> {
    let data = serde_json::to_string(value).expect("names and moments always serialize");
    for _ in 0..TRIES {
        let version = records.record(RecordKind::Key, id).await?.map_or(0, |record| record.version);
        if records.put_record(RecordKind::Key, id, (&data, version), forget_at).await? {
            return Ok(());
        }
    }
    // The others that write here say the same, or something newer.
    Ok(())
}

fn parse<T: for<'a> Deserialize<'a>>(record: &Record) -> Result<T, Unavailable> {
    serde_json::from_str(&record.data).map_err(|error| Unavailable(error.into()))
}
