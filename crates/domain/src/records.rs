//! The port to small records beside the requests: registered clients, and what replicas tell one another of their keys.

use async_trait::async_trait;

use crate::store::Unavailable;
use crate::time::Timestamp;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// A registered device client, by its `client_id`.
    Client,
    /// Which records of another kind there are.
    Index,
    /// What is known of the keyring: who holds which keys, and which are active.
    Key,
}

impl RecordKind {
    /// What its keys begin with in the store.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Client => "C#",
            Self::Index => "I#",
            Self::Key => "K#",
        }
    }

    /// The key of the record `id` in a store that keeps all kinds in one table.
    pub fn key(self, id: &str) -> String {
        format!("{}{id}", self.prefix())
    }

    /// The id of the record whose key this is; the kind is its own.
    pub fn id_of(self, key: &str) -> &str {
        &key[self.prefix().len()..]
    }
}

/// A record as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts the writes of this record, from 1.
    pub version: u64,
    /// What it says; no store looks into it.
    pub data: String,
}

/// Where records live: the same store as the requests.
#[async_trait]
pub trait RecordStore: Send + Sync + 'static {
    /// The record `id`, by a strongly consistent read.
    async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Unavailable>;

    /// All records of a kind, by their ids. Reads everything there is: for an operator's commands, not for requests.
    async fn records(&self, kind: RecordKind) -> Result<Vec<(String, Record)>, Unavailable>;

    /// Puts `data` in the place of version `replaces`, with 0 where nothing stood before. False if something else stands
    /// there. `forget_at` is when the record may go; `None` keeps it.
    async fn put_record(
        &self,
        kind: RecordKind,
        id: &str,
        (data, replaces): (&str, u64),
        forget_at: Option<Timestamp>,
    ) -> Result<bool, Unavailable>;

    /// Removes the record `id`. False if there was none.
    async fn remove_record(&self, kind: RecordKind, id: &str) -> Result<bool, Unavailable>;
}
