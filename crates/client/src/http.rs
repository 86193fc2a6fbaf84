//! Requests and their answers, with limits of time and size.

use std::time::Duration;

use form_urlencoded::byte_serialize;
use reqwest::header::{ACCEPT, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::Credentials;
use crate::error::{ClientError, Refusal};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Token answers are small, also with long tokens.
const MAX_BODY: usize = 1 << 20;

pub(crate) fn client() -> Result<Client, ClientError> {
    // A redirect would carry codes and credentials to wherever it points.
    let builder = Client::builder().redirect(redirect::Policy::none());
    let builder = builder.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT);
    builder
        .user_agent(concat!("device-grant-client/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(ClientError::Setup)
}

pub(crate) fn require_secure(url: &Url) -> Result<(), ClientError> {
    let on_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let secure = url.scheme() == "https" || (url.scheme() == "http" && on_loopback);
    if secure { Ok(()) } else { Err(ClientError::Insecure(url.clone())) }
}

/// What came back, whatever it says.
pub(crate) struct Answer {
    url: Url,
    status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    body: Vec<u8>,
}

pub(crate) async fn get(client: &Client, url: &Url) -> Result<Answer, ClientError> {
    send(client.get(url.clone()), url).await
}

pub(crate) async fn post(
    client: &Client,
    url: &Url,
    credentials: &Credentials,
    form: &[(&str, &str)],
) -> Result<Answer, ClientError> {
    let id = credentials.client_id.as_str();
    let request = client.post(url.clone());
    let request = match &credentials.secret {
        // Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1).
        Some(secret) => request.basic_auth(encoded(id), Some(encoded(secret.expose()))).form(form),
        None => request.form(&[form, &[("client_id", id)]].concat()),
    };
    send(request, url).await
}

fn encoded(half: &str) -> String {
    byte_serialize(half.as_bytes()).collect()
}

async fn send(request: RequestBuilder, url: &Url) -> Result<Answer, ClientError> {
    let away = |error: reqwest::Error| ClientError::Away { cause: words(error), retry_after: None };
    let mut response = request.header(ACCEPT, "application/json").send().await.map_err(away)?;
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(ClientError::Unusable { url: url.clone(), cause: "it is too long".to_owned() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { url: url.clone(), status: response.status(), retry_after, body })
}

/// The innermost cause says most; the URL is told apart from it.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}

impl Answer {
    /// The message of a 200; what else came, by who has to act.
    pub(crate) fn into_success<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.check()?;
        serde_json::from_slice(&self.body).map_err(|error| self.unusable(error.to_string()))
    }

    /// Whether it is a 200; what else came, by who has to act.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        if self.status == StatusCode::OK {
            return Ok(());
        }
        let passing = self.status.is_server_error()
            || matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        if passing {
            let cause = format!("it answered {}", self.status);
            return Err(ClientError::Away { cause, retry_after: self.retry_after });
        }
        match serde_json::from_slice::<Refusal>(&self.body) {
            Ok(refusal) => Err(ClientError::Refused(refusal)),
            Err(_) => Err(self.unusable(format!("status {} without an OAuth error", self.status))),
        }
    }

    fn unusable(&self, cause: String) -> ClientError {
        ClientError::Unusable { url: self.url.clone(), cause }
    }
}
