//! Log lines, on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Sends log lines to standard error from here on.
///
/// The level is for our own crates. Others stay at `warn`: what a client library says below that may hold addresses
/// and headers.
pub(crate) fn start(log: &Log) {
    let filter = EnvFilter::new(format!("warn,device_grant={}", log.level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Human => lines.with_ansi(false).init(),
    }
}
