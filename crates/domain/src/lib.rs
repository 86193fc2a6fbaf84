//! The life of a device request: states, transitions, codes, sealing, limits, and the ports.

mod callback;
pub mod client;
pub mod codes;
mod commit;
pub mod dpop;
mod entropy;
mod entry;
mod exchange;
mod ids;
pub mod jws;
mod keyring;
pub mod limits;
pub mod mailbox;
mod pace;
mod poll;
pub mod pool;
pub mod request;
mod service;
mod start;
pub mod store;
pub mod strict_json;
mod time;
mod tokens;
mod trip;

pub use callback::{Outcome, SignInError};
pub use entropy::{Entropy, SystemEntropy, below, bytes};
pub use entry::Entry;
pub use ids::{AttemptId, CounterKey, KeyThumbprint, OnceKey, OpId, RequestId, UserCodeKey};
pub use keyring::{KeyMaterial, Keyring, KeyringError, OpenError, Purpose};
pub use pace::{MAX_INTERVAL, SLOW_DOWN_STEP};
pub use poll::PollOutcome;
pub use service::{DeviceGrant, Ports, Settings};
pub use start::{Origin, StartError, USER_CODE_COOL_DOWN};
pub use time::{Clock, SystemClock, Timestamp};
pub use tokens::{RefreshRefusal, RevokeRefusal};
pub use trip::{DepartureError, TRIP_LIFE, Trip, TripPurpose};
