//! Logs, on standard error: standard output belongs to what a command prints.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

/// Starts logging. `level` is one of `error`, `warn`, `info`, `debug`, `trace`; libraries are one step quieter.
pub(crate) fn start(format: LogFormat, level: &str) {
    let filter = EnvFilter::new(format!(
        "warn,device_grant={level},device_grant_domain={level},device_grant_web={level},device_grant_upstream={level},device_grant_store_embedded={level},device_grant_store_dynamodb={level}"
    ));
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (a test in the same process) keeps the first.
    let _ = match format {
        LogFormat::Json => base.json().flatten_event(true).try_init(),
        LogFormat::Human => base.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
}
