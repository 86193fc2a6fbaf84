//! The one door to the outside: https, no redirects, bounded in time, in size and in number.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use device_grant_domain::{Clock, Entropy, Timestamp, below};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect, retry};
use tokio::sync::Semaphore;
use url::Url;

use crate::config::ConfigError;
use crate::retry_after;

/// A connection is kept no longer than this, so that few requests meet one that the pool is just closing.
const IDLE: Duration = Duration::from_secs(15);

/// How often a connection is tried, and the wait after the first failure; it doubles.
const CONNECTION_ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The wait after a 429 or 503 that does not say how long, and the longest one that is obeyed.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What no call gets beyond.
pub(crate) struct Bounds {
    pub(crate) connect_timeout: Duration,
    pub(crate) total_timeout: Duration,
    /// Bytes of an answer.
    pub(crate) answer_limit: usize,
    pub(crate) max_parallel_calls: usize,
    /// Whether what is called is on this machine and speaks http without TLS.
    pub(crate) plain_http: bool,
}

/// Calls to the pool, or to where a client publishes its keys.
pub(crate) struct Http {
    client: Client,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    places: Semaphore,
    answer_limit: usize,
    /// Endpoints that asked to be left alone, and until when.
    not_before: Mutex<HashMap<Url, Timestamp>>,
}

/// A whole answer, of whatever status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Whether it calls itself JSON.
    pub(crate) is_json: bool,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer. The words are ours or the HTTP library's, never the pool's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    NotConnected(String),
    /// Nothing was sent: the pool asked for a pause earlier.
    #[error("it asked to be left alone for {0} more seconds")]
    Paused(u64),
    /// The request may have been read.
    #[error("no answer in time")]
    TimedOut,
    /// The request may have been read.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The request was answered.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

impl Http {
    pub(crate) fn new(
        bounds: &Bounds,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let mut builder = Client::builder()
            .user_agent(concat!("device-grant/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(bounds.connect_timeout)
            .timeout(bounds.total_timeout)
            .pool_idle_timeout(IDLE)
            .https_only(!bounds.plain_http);
        if bounds.plain_http {
            // Nothing there uses TLS, and a machine for development may have no certificates at all.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| ConfigError::HttpClient(root_cause(error)))?;
        Ok(Self {
            client,
            clock,
            entropy,
            places: Semaphore::new(bounds.max_parallel_calls),
            answer_limit: bounds.answer_limit,
            not_before: Mutex::default(),
        })
    }

    /// Reads a document. A read may be repeated, so one that found no connection or a broken one is tried again.
    pub(crate) async fn get(&self, url: &Url, within: Duration) -> Result<Answer, CallError> {
        let repeatable =
            |error: &CallError| matches!(error, CallError::NotConnected(_) | CallError::Broken(_));
        let request = || self.client.get(url.clone());
        limited(within, self.attempt(url, request, repeatable)).await
    }

    /// Sends a form. It is sent again only if certainly nothing was sent before (UP-06, RT-04).
    pub(crate) async fn post(
        &self,
        url: &Url,
        authorization: Option<&HeaderValue>,
        form: &[(&str, &str)],
        within: Duration,
    ) -> Result<Answer, CallError> {
        self.respect_pause(url)?;
        let repeatable = |error: &CallError| matches!(error, CallError::NotConnected(_));
        let request = || {
            let request = self.client.post(url.clone()).form(form);
            match authorization {
                Some(value) => request.header(AUTHORIZATION, value),
                None => request,
            }
        };
        let call = async {
            // Nobody closes the semaphore; if somebody did, there would be no cap and no harm.
            let _place = self.places.acquire().await.ok();
            self.attempt(url, request, repeatable).await
        };
        limited(within, call).await
    }

    /// Between `wait` and half of it.
    pub(crate) fn jittered(&self, wait: Duration) -> Duration {
        let half = u32::try_from(wait.as_millis() / 2).unwrap_or(u32::MAX - 1);
        wait / 2 + Duration::from_millis(u64::from(below(&*self.entropy, half + 1)))
    }

    async fn attempt(
        &self,
        url: &Url,
        request: impl Fn() -> RequestBuilder,
        repeatable: impl Fn(&CallError) -> bool,
    ) -> Result<Answer, CallError> {
        let mut attempt = 1;
        loop {
            self.respect_pause(url)?;
            match self.send(url, request()).await {
                Err(error) if attempt < CONNECTION_ATTEMPTS && repeatable(&error) => {
                    tokio::time::sleep(self.jittered(FIRST_PAUSE * attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn send(&self, url: &Url, request: RequestBuilder) -> Result<Answer, CallError> {
        let request = request.header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(call_error)?;
        let status = response.status();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            self.pause(url, response.headers());
        }
        let is_json = is_json(response.headers());
        let body = self.read(&mut response).await?;
        Ok(Answer { status, is_json, body })
    }

    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, CallError> {
        let too_large = || CallError::TooLarge(self.answer_limit);
        let limit = u64::try_from(self.answer_limit).unwrap_or(u64::MAX);
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(call_error)? {
            if chunk.len() > self.answer_limit - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn respect_pause(&self, url: &Url) -> Result<(), CallError> {
        let now = self.clock.now();
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        match not_before.get(url) {
            Some(until) if now < *until => Err(CallError::Paused(until.since(now).as_secs().max(1))),
            Some(_) => {
                not_before.remove(url);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn pause(&self, url: &Url, headers: &HeaderMap) {
        let now = self.clock.now();
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = asked.and_then(|value| retry_after::parse(value, now));
        let wait = wait.unwrap_or(DEFAULT_RETRY_AFTER).min(LONGEST_RETRY_AFTER);
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.insert(url.clone(), now + wait);
    }
}

async fn limited(
    within: Duration,
    call: impl Future<Output = Result<Answer, CallError>>,
) -> Result<Answer, CallError> {
    tokio::time::timeout(within, call).await.unwrap_or(Err(CallError::TimedOut))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.unwrap_or_default().split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn call_error(error: reqwest::Error) -> CallError {
    if error.is_connect() {
        // The connector failed: name, port or TLS. No byte of the request has left.
        CallError::NotConnected(root_cause(error))
    } else if error.is_timeout() {
        CallError::TimedOut
    } else {
        CallError::Broken(root_cause(error))
    }
}

/// The innermost cause: the outer ones repeat that a request failed, and where to.
fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
