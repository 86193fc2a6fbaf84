//! Faults on demand: what a provider may do to its clients, switched on by whoever holds the pool.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::pool::lock;

/// An endpoint of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/jwks`
    Jwks,
    /// `/authorize`, and `/federation` behind it
    Authorize,
    /// `/sign-in`
    SignIn,
    /// `/token`
    Token,
    /// `/revoke`
    Revoke,
    /// `/logout`
    Logout,
}

impl Endpoint {
    /// The path below the issuer.
    pub fn path(self) -> &'static str {
        match self {
            Self::Discovery => "/.well-known/openid-configuration",
            Self::Jwks => "/jwks",
            Self::Authorize => "/authorize",
            Self::SignIn => "/sign-in",
            Self::Token => "/token",
            Self::Revoke => "/revoke",
            Self::Logout => "/logout",
        }
    }

    /// The endpoint at `path`, which is relative to the issuer.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/.well-known/openid-configuration" => Some(Self::Discovery),
            "/jwks" => Some(Self::Jwks),
            "/authorize" | "/federation" => Some(Self::Authorize),
            "/sign-in" => Some(Self::SignIn),
            "/token" => Some(Self::Token),
            "/revoke" => Some(Self::Revoke),
            "/logout" => Some(Self::Logout),
            _ => None,
        }
    }
}

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The request waits before it is worked on.
    Hold(Hold),
    /// The request is worked on, and its answer waits.
    HoldAnswer(Hold),
    /// The request is not worked on; this is the answer.
    Respond(CannedResponse),
    /// The request is read, not worked on, and the connection ends without an answer.
    Drop,
    /// The request is worked on, and the connection ends without an answer: the client cannot know.
    DropAnswer,
}

/// A gate that requests wait at until a test opens it. Without `release` they wait for as long as the client does.
#[derive(Clone, Debug)]
pub struct Hold(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    arrivals: Semaphore,
    /// Closed when the gate opens, so that everybody passes, also whoever comes later.
    barrier: Semaphore,
}

impl Hold {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Gate { arrivals: Semaphore::new(0), barrier: Semaphore::new(0) }))
    }

    /// Waits until a request stands at the gate. Each call accounts for one more request.
    pub async fn arrived(&self) {
        if let Ok(permit) = self.0.arrivals.acquire().await {
            permit.forget();
        }
    }

    /// Opens the gate, for good.
    pub fn release(&self) {
        self.0.barrier.close();
    }

    pub(crate) async fn wait(&self) {
        self.0.arrivals.add_permits(1);
        // The barrier never has a permit: this returns once it is closed.
        drop(self.0.barrier.acquire().await);
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self::new()
    }
}

/// An answer given in place of the pool's own.
#[derive(Clone, Debug)]
pub struct CannedResponse {
    /// The status.
    pub status: StatusCode,
    /// Header names and values, `content-type` among them.
    pub headers: Vec<(String, String)>,
    /// The body, sent as it is.
    pub body: Bytes,
}

impl CannedResponse {
    /// Any body of any type.
    pub fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    /// A JSON body.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A 200 whose JSON body is larger than `bytes`.
    pub fn oversized(bytes: usize) -> Self {
        Self::json(StatusCode::OK, &serde_json::json!({ "padding": "a".repeat(bytes) }))
    }

    /// The same answer with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Members put over a JSON object: `null` takes one away, anything else replaces or adds it.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Map<String, Value>);

impl Overrides {
    pub(crate) fn apply(&self, object: &mut Map<String, Value>) {
        for (name, value) in &self.0 {
            if value.is_null() {
                object.remove(name);
            } else {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Overrides {
    fn from(members: [(&str, Value); N]) -> Self {
        Self(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// What is wrong with the signature of an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// Made with a key that was never published, under the `kid` of the published one.
    OtherKey,
    /// `alg: none` and no signature.
    AlgNone,
    /// `alg: HS256`, keyed with the published public key.
    Hs256WithPublicKey,
}

/// How the pool's own answers differ from what they should be. The default is an honest pool.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Members of the discovery document.
    pub discovery: Overrides,
    /// Members of a successful token response, of every grant.
    pub token_response: Overrides,
    /// Claims of ID tokens (`at_hash` among them).
    pub id_token_claims: Overrides,
    /// JOSE header members of ID tokens: `kid`, `jwk`, `jku`, `crit`, …
    pub id_token_header: Overrides,
    /// The signature of ID tokens.
    pub id_token_signature: Option<SignatureFault>,
    /// Parameters of authorization responses. `code: null` with an `error` makes an error of a success; an array
    /// repeats the parameter; `iss` can be wrong, or gone.
    pub callback: Overrides,
}

/// The handle that switches faults on and off. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    behaviour: Behaviour,
    queued: HashMap<Endpoint, VecDeque<Fault>>,
    standing: HashMap<Endpoint, Fault>,
}

impl Faults {
    /// Changes how the pool's own answers look, from the next request on.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.0).behaviour);
    }

    /// Puts a fault on the next request of `endpoint`, or on the one after those already planned.
    pub fn once(&self, endpoint: Endpoint, fault: Fault) {
        lock(&self.0).queued.entry(endpoint).or_default().push_back(fault);
    }

    /// Puts a fault on every request of `endpoint`, after those planned with [`Faults::once`].
    pub fn always(&self, endpoint: Endpoint, fault: Fault) {
        lock(&self.0).standing.insert(endpoint, fault);
    }

    /// Holds the next request of `endpoint` before it is worked on.
    pub fn hold_next(&self, endpoint: Endpoint) -> Hold {
        let hold = Hold::new();
        self.once(endpoint, Fault::Hold(hold.clone()));
        hold
    }

    /// An honest pool again. Requests that are held stay held.
    pub fn clear(&self) {
        *lock(&self.0) = Plan::default();
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        lock(&self.0).behaviour.clone()
    }

    pub(crate) fn take(&self, endpoint: Endpoint) -> Option<Fault> {
        let mut plan = lock(&self.0);
        let queued = plan.queued.get_mut(&endpoint).and_then(VecDeque::pop_front);
        queued.or_else(|| plan.standing.get(&endpoint).cloned())
    }
}
