//! What reached the pool.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use device_grant_domain::Timestamp;

use crate::faults::Endpoint;
use crate::params::Params;
use crate::pool::lock;

/// How many requests are remembered; a demo may run for days.
const CAPACITY: usize = 10_000;

/// The headers worth looking at; the rest is the HTTP client's own business.
const LOGGED_HEADERS: [&str; 8] =
    ["accept", "authorization", "content-type", "cookie", "host", "origin", "referer", "user-agent"];

/// One request, as it came in, credentials and all. `Debug` shows no value.
#[derive(Clone)]
pub struct LoggedRequest {
    /// The method.
    pub method: String,
    /// The path, with that of the issuer.
    pub path: String,
    /// The decoded pairs of the query, in order.
    pub query: Vec<(String, String)>,
    /// The headers of interest, `authorization` among them, in lower case.
    pub headers: Vec<(String, String)>,
    /// The decoded pairs of a form body, in order.
    pub form: Vec<(String, String)>,
    /// When it came, by the pool's clock.
    pub at: Timestamp,
    pub(crate) endpoint: Option<Endpoint>,
}

impl LoggedRequest {
    /// The first value of a query parameter.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    /// The first value of a form parameter.
    pub fn form_value(&self, name: &str) -> Option<&str> {
        first(&self.form, name)
    }

    /// The first value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Which endpoint it was for, if any.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint
    }
}

impl fmt::Debug for LoggedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|pair| pair.0.clone()).collect::<Vec<_>>();
        f.debug_struct("LoggedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &names(&self.query))
            .field("headers", &names(&self.headers))
            .field("form", &names(&self.form))
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The newest requests, oldest first. Clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<VecDeque<LoggedRequest>>>);

impl RequestLog {
    /// All of them.
    pub fn all(&self) -> Vec<LoggedRequest> {
        lock(&self.0).iter().cloned().collect()
    }

    /// Those for one endpoint.
    pub fn to(&self, endpoint: Endpoint) -> Vec<LoggedRequest> {
        lock(&self.0).iter().filter(|request| request.endpoint == Some(endpoint)).cloned().collect()
    }

    /// How many there were for one endpoint.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        lock(&self.0).iter().filter(|request| request.endpoint == Some(endpoint)).count()
    }

    /// Forgets them.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    pub(crate) fn push(&self, request: LoggedRequest) {
        let mut log = lock(&self.0);
        if log.len() == CAPACITY {
            log.pop_front();
        }
        log.push_back(request);
    }
}

/// The headers of interest.
pub(crate) fn logged_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let interesting = headers.iter().filter(|(name, _)| LOGGED_HEADERS.contains(&name.as_str()));
    interesting
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// The pairs of a query string or a form body.
pub(crate) fn logged_pairs(encoded: &[u8]) -> Vec<(String, String)> {
    Params::parse(encoded).into_pairs()
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
}
