//! A device without a browser.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// A device with credentials of its own: the id of its client, and that id followed by `-secret`.
pub struct Television {
    http: reqwest::Client,
    origin: String,
    client_id: String,
    secret: String,
}

/// What the device was told at the start.
#[derive(Debug)]
pub struct Authorization {
    /// The whole answer.
    pub body: Value,
    /// What the device polls with.
    pub device_code: String,
    /// What the person types.
    pub user_code: String,
    /// Where the person goes.
    pub verification_uri: String,
    /// How long lies between two polls.
    pub interval: Duration,
}

/// The answer to a poll, a refresh or a revocation.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Value,
    /// Which replica has answered, as the balancer names it.
    pub replica: String,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
}

impl Answer {
    /// The OAuth error, or nothing.
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

impl Television {
    /// A device whose server has this origin.
    pub fn new(http: reqwest::Client, origin: String, client_id: &str) -> Self {
        Self::with_secret(http, origin, (client_id, &format!("{client_id}-secret")))
    }

    /// The same with another secret.
    pub fn with_secret(http: reqwest::Client, origin: String, (client_id, secret): (&str, &str)) -> Self {
        Self { http, origin, client_id: client_id.to_owned(), secret: secret.to_owned() }
    }

    /// Asks for codes (RFC 8628 §3.1).
    pub async fn start(&self, scope: &str) -> anyhow::Result<Authorization> {
        let answer = self.ask(scope).await?;
        ensure!(answer.status == 200, "the start is refused: {answer:?}");
        let text =
            |name: &str| answer.body[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        Ok(Authorization {
            device_code: text("device_code")?,
            user_code: text("user_code")?,
            verification_uri: text("verification_uri")?,
            interval: Duration::from_secs(answer.body["interval"].as_u64().context("no interval")?),
            body: answer.body,
        })
    }

    /// The same, whatever the answer is.
    pub async fn ask(&self, scope: &str) -> anyhow::Result<Answer> {
        self.post("/device_authorization", &[("scope", scope)]).await
    }

    /// Polls once (RFC 8628 §3.4).
    pub async fn poll(&self, authorization: &Authorization) -> anyhow::Result<Answer> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        self.post("/token", &[("grant_type", grant), ("device_code", &authorization.device_code)]).await
    }

    /// Waits for the interval, then polls.
    pub async fn poll_later(&self, authorization: &Authorization) -> anyhow::Result<Answer> {
        tokio::time::sleep(authorization.interval).await;
        self.poll(authorization).await
    }

    /// Polls at the interval until the answer is a final one.
    pub async fn wait(&self, authorization: &Authorization) -> anyhow::Result<Answer> {
        for _ in 0..60 {
            let answer = self.poll_later(authorization).await?;
            if answer.error() != "authorization_pending" {
                return Ok(answer);
            }
        }
        bail!("nothing is decided after sixty polls")
    }

    /// Asks for new tokens (RFC 6749 §6).
    pub async fn refresh(&self, refresh_token: &str) -> anyhow::Result<Answer> {
        self.post("/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Gives a token back (RFC 7009).
    pub async fn revoke(&self, token: &str) -> anyhow::Result<Answer> {
        self.post("/revoke", &[("token", token)]).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Answer> {
        // What a balancer would say; the real one overwrites it.
        let request = self.http.post(format!("{}{path}", self.origin)).header("X-Forwarded-Proto", "https");
        let request = request.form(form);
        let response = request.basic_auth(&self.client_id, Some(&self.secret)).send().await?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let replica = header("x-served-by").unwrap_or_default();
        let retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok());
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("no JSON with status {status}: {text}"))?
        };
        Ok(Answer { status, body, replica, retry_after })
    }
}
