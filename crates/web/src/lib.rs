//! The HTTP face: router, extractors, handlers, pages, layers.

mod config;
mod cookies;
mod error;
mod extract;
mod health;
mod nonce;
mod pages;
mod person;
mod router;
mod routes;
mod state;
mod transport;
mod visit;

pub use config::{OnStoreFailure, SessionLimits, SignIn, WebConfig};
pub use health::Health;
pub use router::router;
