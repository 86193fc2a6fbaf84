//! The port to the store. Methods are intents, and each is atomic.
//!
//! A store gets values (`now`, ids, hashes) and never a clock, a generator or a secret.

use async_trait::async_trait;

use crate::ids::{CounterKey, OnceKey, RequestId, UserCodeKey};
use crate::request::{DeviceRequest, Transition};
use crate::time::Timestamp;

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// May miss the latest writes; half the price. Good enough for "still pending" only (ST-08).
    Eventual,
    /// Sees every write that was acknowledged before.
    Strong,
}

/// A new request and the places of its user code.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// The request, pending.
    pub request: DeviceRequest,
    /// Where its user code goes: the place under the active key.
    pub user_code: UserCodeKey,
    /// Places under other live keys, which must be free as well.
    pub other_places: Vec<UserCodeKey>,
    /// The user code must not come again before this (DA-11).
    pub user_code_reusable_at: Timestamp,
}

/// The store cannot be reached or does not answer in time. Whether a write happened is not known.
#[derive(Debug, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct Unavailable(
    /// What the store's client said; for logs, never for answers.
    #[source]
    pub Box<dyn std::error::Error + Send + Sync>,
);

/// Why a request was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The user code is another request's, or was a moment ago: draw again.
    #[error("the user code is taken")]
    UserCodeTaken,
    /// Nothing is known about the write.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a transition was not written.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// Another state or version stands there: this one, read with the write.
    #[error("the request has changed meanwhile")]
    Conflict(Box<DeviceRequest>),
    /// No such request.
    #[error("no such request")]
    NotFound,
    /// Nothing is known about the write.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Where requests live.
#[async_trait]
pub trait RequestStore: Send + Sync + 'static {
    /// Puts a new request and its user code in, the user code first, on condition that no live one is there (neither
    /// a live request's nor one in its cool-down at `now`). Repeating the same call is harmless: the entry is then
    /// recognised as this request's own.
    async fn create(&self, new: &NewRequest, now: Timestamp) -> Result<(), CreateError>;

    /// The request `id`, also when its time is up: the caller decides expiry with its own clock.
    async fn load(
        &self,
        id: &RequestId,
        consistency: Consistency,
    ) -> Result<Option<DeviceRequest>, Unavailable>;

    /// The request whose user code lies at one of `places`, by strongly consistent reads, not through an index
    /// (ST-07).
    async fn find_by_user_code(&self, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Unavailable>;

    /// Writes `transition` if the state and version it expects stand there. Never touches the interval.
    async fn transition(&self, transition: &Transition) -> Result<(), TransitionError>;

    /// Raises the interval to `interval` seconds if the request is undecided and its interval is lower. Touches
    /// nothing else (ST-04).
    async fn slow_down(&self, id: &RequestId, interval: u32) -> Result<(), Unavailable>;

    /// Counts the polls of a request from `from` on if it is undecided and its pace (interval, and what is counted from) is
    /// still as `read` has it. Touches nothing else. An uncertain write is not tried again: it could not be told from
    /// another poll's.
    async fn count_from(&self, read: &DeviceRequest, from: Timestamp) -> Result<(), TransitionError>;

    /// Marks what is good once as used. False if it was used before, by whichever replica (CB-01, CA-13). `forget_at` is
    /// when the mark may go.
    async fn spend(&self, key: &OnceKey, forget_at: Timestamp) -> Result<bool, Unavailable>;

    /// Adds one to `counter` if it stands below `limit`; false if not. `forget_at` is when the counter may go.
    async fn reserve(
        &self,
        counter: &CounterKey,
        limit: u32,
        forget_at: Timestamp,
    ) -> Result<bool, Unavailable>;

    /// Takes one from `counter` again, not below zero.
    async fn give_back(&self, counter: &CounterKey) -> Result<(), Unavailable>;

    /// Adds `by` to `counter` and says what it holds then; with zero it only says that. An uncertain addition may count
    /// twice: too much is the safe side. `forget_at` is when the counter may go.
    async fn add(&self, counter: &CounterKey, by: u32, forget_at: Timestamp) -> Result<u64, Unavailable>;

    /// Whether the store answers and holds the schema that this version needs.
    async fn check(&self) -> Result<(), StoreProblem>;
}

/// Why a store cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreProblem {
    /// There is no table.
    #[error("the table {table} does not exist; run `device-grant migrate`")]
    Missing {
        /// Its name.
        table: String,
    },
    /// The table was made by another version.
    #[error("the store is at migration {found}, this version needs {needed}; run `device-grant migrate`")]
    Schema {
        /// The migration applied last; 0 for none.
        found: u32,
        /// The newest migration of this version.
        needed: u32,
    },
    /// It does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
