//! A clock that stands still, entropy from a seed, and the store suite: for tests only.

mod balancer;
mod faulty_store;
pub mod parts;
pub mod store_suite;
mod time;

pub use balancer::TestBalancer;
pub use faulty_store::{Call, FaultyStore, StoreFault};
pub use time::{FixedClock, SeededEntropy};
