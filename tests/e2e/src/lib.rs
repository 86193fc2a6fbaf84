//! The whole system on real parts: Keycloak as the user pool, `DynamoDB` Local as the store, haproxy in front of two
//! replicas, Chromium as the person.
//!
//! Everything lies behind one TLS port of loopback, under three names that are different sites to a browser:
//! `login.grant-service.test` (the replicas), `pool.user-pool.test` (Keycloak) and `hop.third-party.test`, over which
//! the pool's authorize endpoint takes a detour, as a federated pool does. Services that are set up otherwise, and a
//! neighbour that is none of ours, have names of their own beside the first.

mod attacker;
pub mod balancer;
pub mod binary;
mod by_hand;
mod certificates;
mod gatekeeper;
mod installation;
mod keycloak;
mod person;
pub mod proxy;
mod realm;
mod service;
pub mod table;
mod television;
mod world;

pub use attacker::Attacker;
pub use by_hand::{ByHand, Page, way_on};
pub use certificates::Certificates;
pub use gatekeeper::{Gatekeeper, client_at};
pub use installation::Installation;
pub use keycloak::Keycloak;
pub use person::Person;
pub use service::Service;
pub use television::{Answer, Authorization, Television};
pub use world::{World, http_client};

/// What a device usually asks for: who it is, and tokens that outlive the browser's session.
pub const SCOPE: &str = "openid profile offline_access";
/// The pool's name in a browser.
pub const POOL: &str = "pool.user-pool.test";
/// The third origin on the way to the pool's sign-in.
pub const HOP: &str = "hop.third-party.test";
/// The service whose pool gives every client the same subject.
pub const LOGIN: &str = "login.grant-service.test";
/// The service whose device client gets pairwise subjects, and which therefore names another claim.
pub const PAIRWISE: &str = "pairwise.grant-service.test";
/// The same, but without that claim in its configuration.
pub const MISCONFIGURED: &str = "misconfigured.grant-service.test";
/// The service where people sign in only after they have authorized.
pub const APPROVAL: &str = "approval.grant-service.test";
/// The service behind a load balancer that signs people in.
pub const BALANCED: &str = "balanced.grant-service.test";
/// A site of the same registrable domain that is not ours. Its page sets the cookies that the lines of its fragment name.
pub const NEIGHBOUR: &str = "neighbour.grant-service.test";

/// All of them.
const NAMES: [&str; 8] = [LOGIN, PAIRWISE, MISCONFIGURED, APPROVAL, BALANCED, NEIGHBOUR, POOL, HOP];
