//! The commands, one file each.

mod chores;
pub(crate) mod client;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod health;
pub(crate) mod init;
pub(crate) mod key;
#[cfg(feature = "lambda")]
mod lambda;
pub(crate) mod login;
pub(crate) mod migrate;
mod replica;
pub(crate) mod serve;

use std::time::{Duration, SystemTime};

use device_grant_domain::Timestamp;

/// A moment for people.
fn shown(at: Timestamp) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(at.as_secs()))
}
