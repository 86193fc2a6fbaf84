//! A development pool and our client of it, on one fixed clock.

use std::sync::Arc;
use std::time::Duration;

use device_grant_dev_pool::{
    CannedResponse, DevClient, DevPool, DevPoolConfig, Endpoint, Fault, LoopbackPool, Person,
};
use device_grant_domain::policy::{SignInDemand, StepUp};
use device_grant_domain::pool::{
    AuthorizeTrip, Exchange, ExchangeError, PoolClient, PoolTokens, RefreshError, UserPool,
};
use device_grant_domain::{Entropy, Timestamp};
use device_grant_protocol::{
    AuthMethod, AuthorizationCode, ClientSecret, Nonce, PkceVerifier, RefreshToken, Scope, State,
    TokenResponse,
};
use device_grant_testkit::{FixedClock, SeededEntropy};
use device_grant_upstream::{OidcPool, OidcPoolConfig};
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

pub(crate) const CALLBACK: &str = "http://client.test/callback";
/// Every character that form-encoding changes, and one it does not.
pub(crate) const SECRET: &str = "s+e/c:r%t t";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const NONCE: &str = "nonce-of-this-trip";

pub(crate) struct Bench {
    pub(crate) served: LoopbackPool,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) entropy: Arc<WatchedEntropy>,
    pub(crate) ours: Arc<OidcPool>,
    pub(crate) client: PoolClient,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    pub(crate) async fn with(
        change_pool: impl FnOnce(&mut DevPoolConfig),
        change_ours: impl FnOnce(&mut OidcPoolConfig),
    ) -> Self {
        let clock = Arc::new(FixedClock::default());
        let configure = |issuer| {
            let mut config = DevPoolConfig {
                clients: vec![
                    DevClient::confidential("tv", SECRET, CALLBACK),
                    DevClient::public("app", CALLBACK),
                ],
                ..DevPoolConfig::new(issuer)
            };
            change_pool(&mut config);
            config
        };
        let served = LoopbackPool::spawn_with(configure, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let served = served.await.unwrap();
        let entropy = Arc::new(WatchedEntropy::default());
        let mut config = OidcPoolConfig::new(served.issuer());
        config.allow_http = true;
        change_ours(&mut config);
        let ours = Arc::new(OidcPool::new(config, clock.clone(), entropy.clone()).unwrap());
        let client = PoolClient {
            client_id: "tv".into(),
            secret: Some(ClientSecret::new(SECRET).into()),
            auth_method: AuthMethod::ClientSecretBasic,
        };
        Self { served, clock, entropy, ours, client }
    }

    pub(crate) fn pool(&self) -> &DevPool {
        self.served.pool()
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.pool().requests().count(endpoint)
    }

    pub(crate) fn respond_always(&self, endpoint: Endpoint, status: u16, body: &Value) {
        let canned = CannedResponse::json(status.try_into().unwrap(), body);
        self.pool().faults().always(endpoint, Fault::Respond(canned));
    }

    pub(crate) fn respond_once(&self, endpoint: Endpoint, status: u16, body: &Value) {
        let canned = CannedResponse::json(status.try_into().unwrap(), body);
        self.pool().faults().once(endpoint, Fault::Respond(canned));
    }

    pub(crate) async fn authorize_url(&self) -> Url {
        self.way_to_sign_in(false).await
    }

    pub(crate) async fn way_to_sign_in(&self, anew: bool) -> Url {
        let trip = AuthorizeTrip {
            client: &self.client,
            redirect_uri: &Url::parse(CALLBACK).unwrap(),
            scope: &"openid profile".parse::<Scope>().unwrap(),
            state: &State::new("state"),
            nonce: &Nonce::new(NONCE),
            verifier: &PkceVerifier::new(VERIFIER),
            step_up: &StepUp::default(),
            anew,
            extra: &[],
        };
        self.ours.authorize_url(trip).await.unwrap()
    }

    /// A code for Alice.
    pub(crate) async fn code(&self) -> String {
        let mut alice = Person::new(self.pool(), "alice", "alice");
        let callback = alice.visit(&self.authorize_url().await).await.unwrap();
        let mut pairs = callback.query_pairs();
        pairs.find(|pair| pair.0 == "code").unwrap().1.into_owned()
    }

    pub(crate) async fn exchange(&self, code: &str) -> Result<PoolTokens, ExchangeError> {
        exchange(&self.ours, &self.client, code).await
    }

    /// A whole sign-in of Alice's.
    pub(crate) async fn login(&self) -> Result<PoolTokens, ExchangeError> {
        self.exchange(&self.code().await).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<TokenResponse, RefreshError> {
        self.ours.refresh(&self.client, &RefreshToken::new(token), None).await
    }

    /// The refresh token of a whole sign-in.
    pub(crate) async fn refresh_token(&self) -> String {
        let tokens = self.login().await.unwrap();
        tokens.response.refresh_token.unwrap().expose().to_owned()
    }

    pub(crate) fn now(&self) -> u64 {
        device_grant_domain::Clock::now(&*self.clock).as_secs()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The refresh token of the last revocation that the pool was asked for; it is dead there.
    pub(crate) fn revoked(&self) -> Option<String> {
        let requests = self.pool().requests().to(Endpoint::Revoke);
        let token = requests.last()?.form_value("token")?.to_owned();
        assert!(!self.pool().is_live(&token));
        Some(token)
    }
}

pub(crate) async fn exchange(
    ours: &OidcPool,
    client: &PoolClient,
    code: &str,
) -> Result<PoolTokens, ExchangeError> {
    let exchange = Exchange {
        client,
        redirect_uri: &Url::parse(CALLBACK).unwrap(),
        code: &AuthorizationCode::new(code),
        verifier: &PkceVerifier::new(VERIFIER),
        nonce: &Nonce::new(NONCE),
        demand: &SignInDemand::default(),
    };
    ours.exchange(exchange).await
}

/// The words of an exchange that came to nothing for good.
#[track_caller]
pub(crate) fn unusable(outcome: Result<PoolTokens, ExchangeError>) -> String {
    match outcome {
        Err(ExchangeError::Unusable(words)) => words,
        other => panic!("{other:?}"),
    }
}

/// The words of an exchange whose code may still be good.
#[track_caller]
pub(crate) fn unreachable(outcome: Result<PoolTokens, ExchangeError>) -> String {
    match outcome {
        Err(ExchangeError::Unreachable(words)) => words,
        other => panic!("{other:?}"),
    }
}

/// Entropy that tells when it is asked: each back-off asks for its jitter right before it waits.
pub(crate) struct WatchedEntropy {
    inner: SeededEntropy,
    draws: Semaphore,
}

impl Default for WatchedEntropy {
    fn default() -> Self {
        Self { inner: SeededEntropy::new(11), draws: Semaphore::new(0) }
    }
}

impl WatchedEntropy {
    /// Forgets the draws so far.
    pub(crate) fn forget(&self) {
        self.draws.forget_permits(usize::MAX >> 4);
    }

    /// Waits for a draw.
    pub(crate) async fn drawn(&self) {
        self.draws.acquire().await.unwrap().forget();
    }
}

impl Entropy for WatchedEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.inner.fill(buffer);
        self.draws.add_permits(1);
    }
}

/// The fixed clock's first moment, for pools that are not the bench's.
pub(crate) fn start_of_time() -> Timestamp {
    device_grant_domain::Clock::now(&FixedClock::default())
}
