//! One login: a device, and the person who wants it connected.

use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use device_grant_domain::RequestId;
use device_grant_protocol::DeviceCode;
use e2e::Authorization;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::configuration::Client;
use crate::device::{Device, End, Heard};
use crate::person::{Person, Seen};

/// How long a person looks at the browser yet when the device has got on already.
const LAST_LOOK: Duration = Duration::from_secs(3);

/// A login that is over.
#[derive(Debug)]
pub struct Login {
    /// The client that the device belongs to.
    pub client: &'static Client,
    /// Whose account it was to be.
    pub person: String,
    /// The stored request.
    pub request: RequestId,
    /// How it ended for the device.
    pub end: End,
    /// What the person saw.
    pub seen: Seen,
    /// Answers that the device should not see, or that did not come.
    pub troubles: Vec<String>,
    /// Answers to polls that were lost in the air.
    pub swallowed: u64,
    /// What the device heard before the end.
    pub before_the_end: Vec<Heard>,
    /// From the start to the end.
    pub took: Duration,
    /// Every token set that the code brought, to the device or into the air.
    pub brought: Vec<Tokens>,
}

/// Tokens as a device has them.
#[derive(Clone, Debug)]
pub struct Tokens(Value);

impl From<Value> for Tokens {
    fn from(body: Value) -> Self {
        Self(body)
    }
}

impl Tokens {
    /// One of them by its name in the answer.
    pub fn token(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// Whether both are one token set. What is left of its life differs.
    pub fn is(&self, other: &Self) -> bool {
        ["access_token", "refresh_token", "id_token"].iter().all(|name| self.token(name) == other.token(name))
    }

    /// Whose they are: the name at the pool.
    pub fn person(&self) -> anyhow::Result<String> {
        self.claim("preferred_username")
    }

    /// The client that the pool has issued them to.
    pub fn client(&self) -> anyhow::Result<String> {
        self.claim("azp")
    }

    fn claim(&self, name: &str) -> anyhow::Result<String> {
        let payload = self.token("access_token").split('.').nth(1).context("no JWT")?;
        let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
        Ok(payload[name].as_str().with_context(|| format!("no claim {name}"))?.to_owned())
    }
}

impl Login {
    /// What the device got.
    pub fn tokens(&self) -> Option<&Tokens> {
        match &self.end {
            End::Tokens(tokens) => Some(tokens),
            End::Refused(_) => None,
        }
    }

    /// How often the code brought the token set that it had brought before.
    pub fn fetched_again(&self) -> usize {
        self.brought.len().saturating_sub(1)
    }

    /// Whether the code brought more than its client may have: one token set, and that one once unless its client has a
    /// window.
    pub fn brought_too_much(&self) -> bool {
        let Some((first, again)) = self.brought.split_first() else { return false };
        again.iter().any(|tokens| self.client.redelivery_s == 0 || !tokens.is(first))
    }

    /// Whether an answer with tokens can have been lost before the end: a poll was not answered, or the last but one was
    /// told to come back, by a replica that may have died before it could make the tokens wait again.
    pub fn misses_an_answer(&self) -> bool {
        let before = &self.before_the_end;
        before.iter().any(|heard| matches!(heard, Heard::Nothing(_)))
            || before.last() == Some(&Heard::Answer("slow_down".to_owned()))
    }
}

/// Logs the device of a client in, asks once more with the same code afterwards, and refreshes its tokens so often.
pub async fn log_in(
    mut device: Device,
    client: &'static Client,
    person: &mut Person,
    refreshes: usize,
) -> anyhow::Result<Login> {
    let began = Instant::now();
    let authorization = device.start().await;
    let mut seen = Seen::default();
    let end = side_by_side(&mut device, &authorization, person, &mut seen).await?;
    let took = began.elapsed();
    let before_the_end = device.before_the_end().to_vec();
    device.poll(&authorization).await;
    if let End::Tokens(tokens) = &end {
        device.refresh_often(tokens, refreshes).await;
    }
    Ok(Login {
        client,
        person: person.name().to_owned(),
        request: RequestId::of(&DeviceCode::new(&*authorization.device_code)),
        brought: device.brought,
        troubles: device.troubles,
        swallowed: device.swallowed,
        end,
        seen,
        before_the_end,
        took,
    })
}

async fn side_by_side(
    device: &mut Device,
    authorization: &Authorization,
    person: &mut Person,
    seen: &mut Seen,
) -> anyhow::Result<End> {
    let approving = person.approve(authorization, seen);
    tokio::pin!(approving);
    let waiting = device.wait(authorization);
    tokio::pin!(waiting);
    let (end, approved) = tokio::select! {
        end = &mut waiting => (end, None),
        approved = &mut approving => (waiting.await, Some(approved)),
    };
    match approved {
        Some(approved) => approved?,
        // Whoever sees the device go on leaves the browser as it is.
        None => timeout(LAST_LOOK, approving).await.unwrap_or(Ok(()))?,
    }
    Ok(end)
}
