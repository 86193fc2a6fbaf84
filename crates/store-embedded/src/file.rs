//! The store in one SQLite file.

use std::fs::File;
use std::path::Path;

use async_trait::async_trait;
use device_grant_domain::request::{DeviceRequest, StateName, Transition};
use device_grant_domain::store::{
    Consistency, CreateError, NewRequest, RequestStore, StoreProblem, TransitionError, Unavailable,
};
use device_grant_domain::{CounterKey, OnceKey, RequestId, Timestamp, UserCodeKey};
use rusqlite::{Connection, OptionalExtension, params};

use crate::open::{self, OpenError, Opened};
use crate::rows::{self, millis};
use crate::worker::{Fault, Worker};

/// A store in one SQLite file, which one process owns. What it has acknowledged survives a crash and a power cut.
pub struct EmbeddedStore {
    pub(crate) writer: Worker,
    pub(crate) reader: Worker,
    // The last field, so that it is let go of once the threads above are done. `None` for a visitor.
    _lock: Option<File>,
}

impl EmbeddedStore {
    /// Opens the file at `path`, makes it if there is none, and brings an older one up to date. Blocks for as long as
    /// the disk takes.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while another process has it, [`OpenError::Newer`] after a downgrade.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::work(path.as_ref(), open::open(path.as_ref())?)
    }

    /// Opens the file beside the process that owns it: for an operator's command that looks at records or changes some.
    /// SQLite keeps the two apart.
    ///
    /// # Errors
    /// [`OpenError::Sqlite`] if there is no such file, [`OpenError::Older`] or [`OpenError::Newer`] if it is of another
    /// version.
    pub fn visit(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::work(path.as_ref(), open::visit(path.as_ref())?)
    }

    fn work(path: &Path, Opened { writer, reader, lock }: Opened) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let writer = Worker::writer(writer).map_err(failed)?;
        let reader = Worker::reader(reader).map_err(failed)?;
        Ok(Self { writer, reader, _lock: lock })
    }

    /// Forgets what may be forgotten at `now`, and says how many rows that were. Nothing depends on it: it only keeps
    /// the file small (ST-06).
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        let swept = self.writer.call(move |connection| {
            let mut swept = 0;
            for table in ["requests", "user_codes", "spent", "counters", "records"] {
                let mut delete =
                    connection.prepare_cached(&format!("DELETE FROM {table} WHERE forget_at <= ?1"))?;
                swept += delete.execute([millis(now)])?;
            }
            Ok(swept)
        });
        Ok(swept.await?)
    }
}

#[async_trait]
impl RequestStore for EmbeddedStore {
    async fn create(&self, new: &NewRequest, now: Timestamp) -> Result<(), CreateError> {
        let new = new.clone();
        let created = self.writer.call(move |connection| create(connection, &new, now)).await;
        if created.map_err(Unavailable::from)? { Ok(()) } else { Err(CreateError::UserCodeTaken) }
    }

    async fn load(&self, id: &RequestId, _: Consistency) -> Result<Option<DeviceRequest>, Unavailable> {
        let id = id.clone();
        Ok(self.reader.call(move |connection| rows::load(connection, &id)).await?)
    }

    async fn find_by_user_code(&self, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Unavailable> {
        let places = places.to_vec();
        Ok(self.reader.call(move |connection| find(connection, &places)).await?)
    }

    async fn transition(&self, transition: &Transition) -> Result<(), TransitionError> {
        let next = transition.clone();
        let outcome = self.writer.call(move |connection| {
            let Some(present) = rows::load(connection, &next.id)? else {
                return Ok(Err(TransitionError::NotFound));
            };
            if present.op == next.op {
                return Ok(Ok(()));
            }
            if (present.state.name(), present.version) != (next.expects, next.expects_version) {
                return Ok(Err(TransitionError::Conflict(Box::new(present))));
            }
            Ok(Ok(rows::save(connection, &present.after(&next))?))
        });
        outcome.await.map_err(Unavailable::from)?
    }

    async fn slow_down(&self, id: &RequestId, interval: u32) -> Result<(), Unavailable> {
        let id = id.clone();
        let done = self.writer.call(move |connection| {
            let mut raise = connection.prepare_cached(
                "UPDATE requests SET interval = ?2 WHERE id = ?1 AND interval < ?2 AND state IN (?3, ?4)",
            )?;
            let [pending, authorized] = [StateName::Pending, StateName::Authorized].map(StateName::as_str);
            raise.execute(params![id.as_str(), interval, pending, authorized])?;
            Ok(())
        });
        Ok(done.await?)
    }

    async fn count_from(&self, read: &DeviceRequest, from: Timestamp) -> Result<(), TransitionError> {
        let read = read.clone();
        let outcome = self.writer.call(move |connection| {
            let Some(present) = rows::load(connection, &read.id)? else {
                return Ok(Err(TransitionError::NotFound));
            };
            if !present.has_pace_of(&read) {
                return Ok(Err(TransitionError::Conflict(Box::new(present))));
            }
            let mut count =
                connection.prepare_cached("UPDATE requests SET counted_from = ?2 WHERE id = ?1")?;
            count.execute(params![read.id.as_str(), millis(from)])?;
            Ok(Ok(()))
        });
        outcome.await.map_err(Unavailable::from)?
    }

    async fn spend(&self, key: &OnceKey, forget_at: Timestamp) -> Result<bool, Unavailable> {
        let key = key.clone();
        let spent = self.writer.call(move |connection| {
            let mut mark =
                connection.prepare_cached("INSERT OR IGNORE INTO spent (id, forget_at) VALUES (?1, ?2)")?;
            Ok(mark.execute(params![key.as_str(), millis(forget_at)])? == 1)
        });
        Ok(spent.await?)
    }

    async fn reserve(
        &self,
        counter: &CounterKey,
        limit: u32,
        forget_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        let counter = counter.clone();
        let reserved = self.writer.call(move |connection| {
            let mut add = connection.prepare_cached(
                "INSERT INTO counters (id, count, forget_at) SELECT ?1, 1, ?3 WHERE ?2 > 0
                 ON CONFLICT (id) DO UPDATE SET count = count + 1, forget_at = excluded.forget_at WHERE count < ?2",
            )?;
            Ok(add.execute(params![counter.as_str(), limit, millis(forget_at)])? == 1)
        });
        Ok(reserved.await?)
    }

    async fn give_back(&self, counter: &CounterKey) -> Result<(), Unavailable> {
        let counter = counter.clone();
        let done = self.writer.call(move |connection| {
            let mut subtract = connection
                .prepare_cached("UPDATE counters SET count = count - 1 WHERE id = ?1 AND count > 0")?;
            subtract.execute([counter.as_str()])?;
            Ok(())
        });
        Ok(done.await?)
    }

    async fn add(&self, counter: &CounterKey, by: u32, forget_at: Timestamp) -> Result<u64, Unavailable> {
        let counter = counter.clone();
        let held = self.writer.call(move |connection| {
            let mut add = connection.prepare_cached(
                "INSERT INTO counters (id, count, forget_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET count = count + ?2, forget_at = excluded.forget_at RETURNING count",
            )?;
            let held: i64 =
                add.query_row(params![counter.as_str(), by, millis(forget_at)], |row| row.get(0))?;
            Ok(u64::try_from(held).unwrap_or_default())
        });
        Ok(held.await?)
    }

    async fn check(&self) -> Result<(), StoreProblem> {
        let schema = self.reader.call(|connection| Ok(open::schema(connection)?)).await;
        let (found, needed) = (schema.map_err(Unavailable::from)?, open::newest());
        if found == needed { Ok(()) } else { Err(StoreProblem::Schema { found, needed }) }
    }
}

/// False if the user code is taken.
fn create(connection: &Connection, new: &NewRequest, now: Timestamp) -> Result<bool, Fault> {
    let id = &new.request.id;
    let mut taken = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM user_codes WHERE place = ?1 AND request <> ?2 AND free_from > ?3)",
    )?;
    for place in std::iter::once(&new.user_code).chain(&new.other_places) {
        if taken.query_row(params![place.as_str(), id.as_str(), millis(now)], |row| row.get(0))? {
            return Ok(false);
        }
    }
    let free_from = new.user_code_reusable_at.max(new.request.expires_at);
    let forget_at = free_from.max(new.request.swept_at());
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO user_codes (place, request, free_from, forget_at) VALUES (?1, ?2, ?3, ?4)",
    )?;
    put.execute(params![new.user_code.as_str(), id.as_str(), millis(free_from), millis(forget_at)])?;
    // What stands there already is this request, created before: it may have moved on since.
    if rows::load(connection, id)?.is_none() {
        rows::save(connection, &new.request)?;
    }
    Ok(true)
}

fn find(connection: &Connection, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Fault> {
    let mut look_up =
        connection.prepare_cached("SELECT free_from, request FROM user_codes WHERE place = ?1")?;
    let mut found: Vec<(i64, String)> = Vec::new();
    for place in places {
        found.extend(look_up.query_row([place.as_str()], |row| row.try_into()).optional()?);
    }
    // A place may still name an earlier request with the same code, so the latest one counts.
    found.sort_by_key(|(free_from, _)| std::cmp::Reverse(*free_from));
    for (_, id) in found {
        if let Some(request) = rows::load(connection, &RequestId::from_stored(id))? {
            return Ok(Some(request));
        }
    }
    Ok(None)
}
