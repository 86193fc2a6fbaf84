//! The port to the user pool: an OpenID provider.

use async_trait::async_trait;
use device_grant_protocol::{
    AuthMethod, AuthorizationCode, Nonce, PkceVerifier, RefreshToken, Scope, State, TokenResponse,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::policy::{SignInDemand, StepUp};
pub use crate::pool_secret::PoolSecret;

/// A client of the pool, as this service presents itself there.
#[derive(Clone, Debug)]
pub struct PoolClient {
    /// Its `client_id` at the pool.
    pub client_id: String,
    /// Its secret; none for a public client.
    pub secret: Option<PoolSecret>,
    /// How it authenticates at the pool: Basic or post; `none` without a secret.
    pub auth_method: AuthMethod,
}

/// What an authorization URL is made of (OpenID Connect Core section 3.1.2.1, RFC 7636 section 4.3).
#[derive(Debug)]
pub struct AuthorizeTrip<'a> {
    /// Who asks.
    pub client: &'a PoolClient,
    /// Where the browser comes back to.
    pub redirect_uri: &'a Url,
    /// What is asked for; `openid` is added when it is missing.
    pub scope: &'a Scope,
    /// Ties the callback to this trip.
    pub state: &'a State,
    /// Ties the ID token to this trip.
    pub nonce: &'a Nonce,
    /// Its S256 challenge goes along.
    pub verifier: &'a PkceVerifier,
    /// What kind of sign-in the client wants; counts more than what follows.
    pub step_up: &'a StepUp,
    /// The person is to sign in although the pool may have a session of theirs.
    pub anew: bool,
    /// Further parameters of the configuration, `identity_provider` for example. They replace nothing above.
    pub extra: &'a [(String, String)],
}

/// A code to be exchanged (RFC 6749 section 4.1.3).
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Who asks: the client that the trip was made with.
    pub client: &'a PoolClient,
    /// The very URI that the trip was made with.
    pub redirect_uri: &'a Url,
    /// The pool's code.
    pub code: &'a AuthorizationCode,
    /// The trip's verifier.
    pub verifier: &'a PkceVerifier,
    /// The trip's nonce; the ID token must carry it.
    pub nonce: &'a Nonce,
    /// What the ID token must say of the sign-in.
    pub demand: &'a SignInDemand,
}

/// Who signed in, from a validated ID token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The value of `account_claim`: equal for one person across the pool clients in use.
    pub id: String,
    /// A name to show: `name`, else `preferred_username`, else `email`, else the id.
    pub name: String,
    /// `email`, or what else tells two accounts of one name apart.
    pub detail: Option<String>,
}

/// What a successful exchange brings: tokens whose ID token was validated in full.
#[derive(Debug)]
pub struct PoolTokens {
    /// As the pool sent them; `scope` is present only if the pool sent one.
    pub response: TokenResponse,
    /// Who signed in.
    pub account: Account,
}

/// Why an exchange brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The pool refuses the code (`invalid_grant`): used, too old, or never its own.
    #[error("the pool refuses the code")]
    Refused,
    /// The sign-in was not of the kind that the client wants. Tokens that came along were revoked.
    #[error("the sign-in is not what the client wants: {0}")]
    TooWeak(&'static str),
    /// The pool refuses us, or answers what no working pool answers. Tokens that came along were revoked.
    #[error("the pool's answer cannot be used: {0}")]
    Unusable(String),
    /// The pool cannot be reached, throttles, or has a fault of its own: the code may still be good.
    #[error("the pool cannot be reached: {0}")]
    Unreachable(String),
}

/// Why a refresh brought nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RefreshError {
    /// The pool's own `invalid_grant`, and nothing else (RT-05).
    #[error("the pool refuses the refresh token")]
    Refused,
    /// The pool's own `invalid_scope`.
    #[error("the pool refuses the scope")]
    InvalidScope,
    /// Anything else: the refresh token may still be good.
    #[error("the pool did not answer the refresh: {0}")]
    Unavailable(String),
}

/// Why a revocation was not done.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The pool's `unsupported_token_type`, or a pool without a revocation endpoint.
    #[error("the pool does not revoke such tokens")]
    UnsupportedTokenType,
    /// Nothing is known.
    #[error("the pool did not answer the revocation: {0}")]
    Unavailable(String),
}

/// Why the pool cannot be used right now, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PoolProblem(pub String);

/// What the pool's discovery says, as far as anybody outside the port needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolFacts {
    /// It has a revocation endpoint.
    pub revokes: bool,
    /// It offers pairwise subjects only, so that two clients see one person under two names.
    pub pairwise_only: bool,
}

/// The user pool.
#[async_trait]
pub trait UserPool: Send + Sync + 'static {
    /// Where to send the browser.
    async fn authorize_url(&self, trip: AuthorizeTrip<'_>) -> Result<Url, PoolProblem>;

    /// Whether a callback's `iss` (absent or not) is the pool's (RFC 9207 section 2.4).
    async fn is_from_pool(&self, iss: Option<&str>) -> Result<bool, PoolProblem>;

    /// Exchanges a code and validates the ID token (OpenID Connect Core section 3.1.3.7).
    async fn exchange(&self, exchange: Exchange<'_>) -> Result<PoolTokens, ExchangeError>;

    /// Passes a refresh on, once (RT-04).
    async fn refresh(
        &self,
        client: &PoolClient,
        token: &RefreshToken,
        scope: Option<&Scope>,
    ) -> Result<TokenResponse, RefreshError>;

    /// Passes a revocation on. An unknown token is no error (RFC 7009 section 2.2).
    async fn revoke(&self, client: &PoolClient, token: &str, hint: Option<&str>) -> Result<(), RevokeError>;

    /// Where the browser ends its session at the pool, if the pool has such a place.
    async fn end_session_url(&self, client: &PoolClient, return_to: &Url) -> Option<Url>;

    /// What discovery says, or why there is none. Answers from memory; never waits for the pool.
    fn facts(&self) -> Result<PoolFacts, PoolProblem>;

    /// What went wrong when the pool was last asked for its discovery, also while an older answer still serves.
    fn trouble(&self) -> Option<PoolProblem>;
}
