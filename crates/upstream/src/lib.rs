//! The OpenID Connect client of the user pool: discovery, keys, authorization, exchange, refresh, revocation.
//!
//! [`OidcPool`] is the [`UserPool`](device_grant_domain::pool::UserPool) of any provider that keeps to OpenID Connect
//! Core and Discovery. Everything goes through one bounded HTTP client, to the configured issuer and to the endpoints
//! of its accepted discovery document, and nowhere else. Tokens are handed on only after the ID token was checked in
//! full; no code, token or secret is ever logged, and the pool's own error texts end here.
//!
//! [`RemoteKeys`] fetches what device clients publish at their `jwks_uri`, through a client of the same making, and [`Alb`]
//! reads what a load balancer says that signs people in.

mod account;
mod alb;
mod authorize;
mod client_keys;
mod config;
mod discovery;
mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod id_token;
mod keys;
mod metadata;
mod pool;
mod refresh;
mod retry_after;
mod revoke;
mod token;

pub use alb::{Alb, AlbConfig};
pub use client_keys::RemoteKeys;
pub use config::{ConfigError, MAX_LEEWAY, Manner, OidcPoolConfig};
pub use pool::OidcPool;
