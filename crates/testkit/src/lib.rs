//! A clock that stands still, entropy from a seed, settings and the store suite: for tests only.

mod app_client;
mod balancer;
mod clients;
mod faulty_store;
mod lambda;
pub mod parts;
mod settings;
pub mod store_suite;
mod time;

pub use app_client::AppClientSecrets;
pub use balancer::TestBalancer;
pub use clients::{device_client, public_pool_client};
pub use faulty_store::{Call, FaultyStore, StoreFault};
pub use lambda::LambdaFunction;
pub use settings::settings;
pub use time::{FixedClock, SeededEntropy};
