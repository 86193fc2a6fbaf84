//! A small OpenID Connect user pool for the demo and for tests. Never for production.
//!
//! It keeps everything in memory, shows its passwords on the sign-in page, and does on demand what a good
//! provider never does: [`Faults`] make it slow, broken or dishonest, and [`RequestLog`] shows what reached it.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool, Person};
//!
//! let served = LoopbackPool::spawn(|issuer| DevPoolConfig {
//!     clients: vec![DevClient::public("tv", "http://127.0.0.1:8080/callback")],
//!     ..DevPoolConfig::new(issuer)
//! })
//! .await?;
//! let mut alice = Person::new(served.pool(), "alice", "alice");
//! # Ok(())
//! # }
//! ```

mod config;
mod faults;
mod intake;
mod keys;
mod ledger;
mod pages;
mod params;
pub mod person;
mod pool;
mod request_log;
mod routes;
mod serve;
mod tokens;

pub use config::{DevClient, DevPoolConfig, DevUser, SigningAlgorithm, Ways};
pub use faults::{Behaviour, CannedResponse, Endpoint, Fault, Faults, Hold, Overrides, SignatureFault};
pub use person::{Person, Stranded};
pub use pool::DevPool;
pub use request_log::{LoggedRequest, RequestLog};
pub use serve::LoopbackPool;
