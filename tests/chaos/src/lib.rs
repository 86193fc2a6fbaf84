//! Logins on real parts while replicas are killed, the way to the store is cut and the pool stands still: three replicas
//! of the release binary on one table of `DynamoDB` Local, behind haproxy with health checks, in front of Keycloak.

mod configuration;
mod device;
mod load;
mod login;
mod person;
mod replica;
mod report;
mod run;
mod schedule;
mod wire;
mod world;

pub use configuration::{CLIENTS, Client};
pub use device::{Air, Device, End, Heard};
pub use load::{Habits, Load};
pub use login::{Login, Tokens, log_in};
pub use person::{Person, Seen};
pub use replica::Replica;
pub use report::Report;
pub use run::{Chaos, Counts, Plan, chaos};
pub use schedule::{Event, schedule};
pub use wire::{Mood, Wire};
pub use world::{REPLICAS, Street, World};
