use std::time::Duration;

use serde::Deserialize;
use url::Url;

/// The server's OAuth error (RFC 6749 section 5.2). The code is free text: servers have codes of their own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{error}{}", .error_description.as_deref().map(|words| format!(": {words}")).unwrap_or_default())]
pub struct Refusal {
    /// What went wrong, for the program.
    pub error: String,
    /// What went wrong, for the developer.
    #[serde(default)]
    pub error_description: Option<String>,
    /// With `slow_down`: the seconds between polls that hold from now on.
    #[serde(default)]
    pub(crate) interval: Option<u64>,
}

/// Why something was not done, by who has to act.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server says no.
    #[error("the server refuses: {0}")]
    Refused(Refusal),
    /// Nothing answers, or the server is overloaded: try again, after the given time if there is one.
    #[error("the server is away: {cause}")]
    Away {
        /// What was seen.
        cause: String,
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// What answers is no such server.
    #[error("the answer of {url} cannot be used: {cause}")]
    Unusable {
        /// Who answered.
        url: Url,
        /// What was seen.
        cause: String,
    },
    /// Codes and tokens would travel in the clear.
    #[error("{0} is not https, and plain http is for the loopback only")]
    Insecure(Url),
    /// This machine cannot make connections: usually it has no CA certificates.
    #[error("no connections can be made from here: {0}")]
    Setup(#[source] reqwest::Error),
}
