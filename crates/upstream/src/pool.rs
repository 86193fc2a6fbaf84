//! The pool behind its port.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use device_grant_domain::pool::{
    AuthorizeTrip, Exchange, ExchangeError, PoolClient, PoolFacts, PoolProblem, PoolTokens, RefreshError,
    RevokeError, UserPool,
};
use device_grant_domain::{Clock, Entropy};
use device_grant_protocol::{RefreshToken, Scope, TokenResponse};
use url::Url;

use crate::authorize;
use crate::config::{ConfigError, OidcPoolConfig};
use crate::discovery::Directory;
use crate::http::Http;

/// An OpenID provider as our user pool.
pub struct OidcPool {
    pub(crate) config: Arc<OidcPoolConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) http: Arc<Http>,
    pub(crate) directory: Directory,
}

impl OidcPool {
    /// The pool that `config` describes. Nothing is sent yet: whoever serves runs [`OidcPool::keep_fresh`] beside it,
    /// and so starts also while the pool is away.
    ///
    /// # Errors
    /// When the configuration cannot be right, or the machine has no certificates to trust.
    pub fn new(
        config: OidcPoolConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let issuer = config.check()?;
        let http = Arc::new(Http::new(&config.bounds(), Arc::clone(&clock), entropy)?);
        let config = Arc::new(config);
        let directory = Directory::new((Arc::clone(&config), &issuer), Arc::clone(&http), Arc::clone(&clock));
        Ok(Self { config, clock, http, directory })
    }

    /// Fetches discovery and keys now and before they grow old, and again with a growing, jittered pause while that
    /// fails. It never ends; drop it to stop.
    pub async fn keep_fresh(&self) {
        self.directory.keep_fresh().await;
    }

    /// Fetches discovery and keys if that is due, once for all who ask at the same time.
    ///
    /// # Errors
    /// What is wrong with the pool, also if the last good copy still serves.
    pub async fn refresh_if_due(&self) -> Result<(), PoolProblem> {
        self.directory.refresh_if_due().await
    }
}

impl fmt::Debug for OidcPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcPool").field("issuer", &self.config.issuer).finish_non_exhaustive()
    }
}

#[async_trait]
impl UserPool for OidcPool {
    async fn authorize_url(&self, trip: AuthorizeTrip<'_>) -> Result<Url, PoolProblem> {
        let provider = self.directory.provider().await?;
        Ok(authorize::authorization_url(&provider.authorization_endpoint, &trip, self.config.fresh_prompt))
    }

    async fn is_from_pool(&self, iss: Option<&str>) -> Result<bool, PoolProblem> {
        let provider = self.directory.provider().await?;
        Ok(match iss {
            Some(iss) => iss == self.config.issuer,
            None => !provider.names_itself,
        })
    }

    async fn exchange(&self, exchange: Exchange<'_>) -> Result<PoolTokens, ExchangeError> {
        self.exchange_code(&exchange).await
    }

    async fn refresh(
        &self,
        client: &PoolClient,
        token: &RefreshToken,
        scope: Option<&Scope>,
    ) -> Result<TokenResponse, RefreshError> {
        self.pass_refresh_on(client, token, scope).await
    }

    async fn revoke(&self, client: &PoolClient, token: &str, hint: Option<&str>) -> Result<(), RevokeError> {
        self.pass_revocation_on(client, (token, hint)).await
    }

    async fn end_session_url(&self, client: &PoolClient, return_to: &Url) -> Option<Url> {
        let provider = self.directory.provider().await.ok()?;
        let endpoint = provider.end_session_endpoint.as_ref().filter(|_| self.config.signs_out)?;
        Some(authorize::end_session_url(endpoint, client, (self.config.manner.return_parameter(), return_to)))
    }

    fn facts(&self) -> Result<PoolFacts, PoolProblem> {
        self.directory.facts()
    }

    fn trouble(&self) -> Option<PoolProblem> {
        self.directory.last_problem()
    }
}
