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
pub(crate) mod rotate_pool_secret;
pub(crate) mod serve;

use std::time::{Duration, SystemTime};

use device_grant_domain::Timestamp;

#[cfg(not(feature = "lambda"))]
const NOT_FOR_LAMBDA: &str = "AWS Lambda runs this program (AWS_LAMBDA_RUNTIME_API is set), and it was built without what that \
                              takes: build it with `cargo build --release -p device-grant --features lambda`";

/// A moment for people.
fn shown(at: Timestamp) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(at.as_secs()))
}
