//! Records in the file.

use async_trait::async_trait;
use device_grant_domain::Timestamp;
use device_grant_domain::records::{Record, RecordKind, RecordStore};
use device_grant_domain::store::Unavailable;
use rusqlite::{Connection, OptionalExtension, params};

use crate::file::EmbeddedStore;
use crate::rows::millis;
use crate::worker::Fault;

#[async_trait]
impl RecordStore for EmbeddedStore {
    async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Unavailable> {
        let key = kind.key(id);
        Ok(self.reader.call(move |connection| find(connection, &key)).await?)
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(String, Record)>, Unavailable> {
        Ok(self.reader.call(move |connection| all(connection, kind)).await?)
    }

    async fn put_record(
        &self,
        kind: RecordKind,
        id: &str,
        (data, replaces): (&str, u64),
        forget_at: Option<Timestamp>,
    ) -> Result<bool, Unavailable> {
        let (key, data) = (kind.key(id), data.to_owned());
        let done = self.writer.call(move |connection| {
            let replaces = i64::try_from(replaces).unwrap_or(i64::MAX);
            let forget_at = forget_at.map(millis);
            let mut put = connection.prepare_cached(if replaces == 0 {
                "INSERT OR IGNORE INTO records (id, version, data, forget_at) VALUES (?1, ?2 + 1, ?3, ?4)"
            } else {
                "UPDATE records SET version = ?2 + 1, data = ?3, forget_at = ?4 WHERE id = ?1 AND version = ?2"
            })?;
            Ok(put.execute(params![key, replaces, data, forget_at])? == 1)
        });
        Ok(done.await?)
    }

    async fn remove_record(&self, kind: RecordKind, id: &str) -> Result<bool, Unavailable> {
        let key = kind.key(id);
        let done = self.writer.call(move |connection| {
            Ok(connection.prepare_cached("DELETE FROM records WHERE id = ?1")?.execute([key])? == 1)
        });
        Ok(done.await?)
    }
}

fn find(connection: &Connection, key: &str) -> Result<Option<Record>, Fault> {
    let mut select = connection.prepare_cached("SELECT version, data FROM records WHERE id = ?1")?;
    let found = select.query_row([key], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
    Ok(found.map(|(version, data)| record(version, data)))
}

fn all(connection: &Connection, kind: RecordKind) -> Result<Vec<(String, Record)>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT id, version, data FROM records WHERE substr(id, 1, 2) = ?1 ORDER BY id")?;
    let rows = select.query_map([kind.prefix()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut records = Vec::new();
    for row in rows {
        let (key, version, data): (String, i64, String) = row?;
        records.push((kind.id_of(&key).to_owned(), record(version, data)));
    }
    Ok(records)
}

fn record(version: i64, data: String) -> Record {
    Record { version: u64::try_from(version).unwrap_or_default(), data }
}
