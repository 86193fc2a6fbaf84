//! The HTTP face: router, extractors, handlers, pages, layers.

mod body;
mod config;
mod cookies;
mod error;
mod extract;
mod health;
mod load;
mod nonce;
mod pages;
mod person;
mod router;
mod routes;
mod state;
mod transport;
mod visit;

pub use body::MAX_BODY;
pub use config::{OnStoreFailure, SessionLimits, SignIn, WebConfig};
pub use health::Health;
pub use load::{Lane, Load};
pub use router::{DEADLINE, router};
pub use routes::MAX_DEVICE_CODE;
