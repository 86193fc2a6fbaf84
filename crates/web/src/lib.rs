//! The HTTP face: router, extractors, handlers, pages, layers.

mod config;
mod cookies;
mod error;
mod extract;
mod health;
mod pages;
mod person;
mod router;
mod routes;
mod state;
mod transport;

pub use config::{OnStoreFailure, WebConfig};
pub use health::Health;
pub use router::router;
