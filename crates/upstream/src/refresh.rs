//! The refresh (RFC 6749 section 6), passed on once.

use device_grant_domain::pool::{PoolClient, PoolProblem, RefreshError};
use device_grant_protocol::{GRANT_TYPE_REFRESH_TOKEN, RefreshToken, Scope, TokenResponse};
use serde_json::{Map, Value};

use crate::discovery::NotTaken;
use crate::id_token::Expected;
use crate::metadata::Provider;
use crate::pool::OidcPool;
use crate::token::{self, Trouble};

/// A refresh token of the right kind that no pool has given anybody.
const NOBODYS_TOKEN: &str = "device-grant-asks-whether-its-client-is-known";

impl OidcPool {
    pub(crate) async fn pass_refresh_on(
        &self,
        client: &PoolClient,
        refresh_token: &RefreshToken,
        scope: Option<&Scope>,
    ) -> Result<TokenResponse, RefreshError> {
        let provider = self.directory.provider().await;
        let provider = provider.map_err(|problem| RefreshError::Unavailable(problem.0))?;
        let answered = self.send_refresh(&provider, client, refresh_token.expose(), scope).await;
        let members = answered.map_err(|trouble| refresh_error(trouble, client))?;
        let unusable = |reason: &str| RefreshError::Unavailable(reason.to_owned());
        let response = token::response(&members).map_err(unusable)?;
        self.check_refreshed(&provider, client, response).await
    }

    /// What the pool makes of the credentials of `client`. Nobody has to sign in for that: it is asked to refresh a token
    /// that it never made, and refuses either the client (`invalid_client`) or the token (`invalid_grant`; RFC 6749 section 5.2).
    ///
    /// # Errors
    /// When it does not say, with the reason.
    pub async fn takes_credentials(&self, client: &PoolClient) -> Result<bool, PoolProblem> {
        let provider = self.directory.provider().await?;
        match self.send_refresh(&provider, client, NOBODYS_TOKEN, None).await {
            Ok(_) | Err(Trouble::InvalidGrant) => Ok(true),
            Err(Trouble::OurCredentials) => Ok(false),
            Err(Trouble::InvalidScope) => Err(PoolProblem("it answers invalid_scope".to_owned())),
            Err(Trouble::Away(reason) | Trouble::Nonsense(reason)) => Err(PoolProblem(reason)),
        }
    }

    async fn send_refresh(
        &self,
        provider: &Provider,
        client: &PoolClient,
        refresh_token: &str,
        scope: Option<&Scope>,
    ) -> Result<Map<String, Value>, Trouble> {
        let scope = scope.filter(|scope| !scope.is_empty()).map(Scope::to_string);
        let secret = token::secret(client);
        let mut form = vec![("grant_type", GRANT_TYPE_REFRESH_TOKEN), ("refresh_token", refresh_token)];
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let authorization = token::authenticate(client, secret.as_deref(), &mut form);
        let endpoint = &provider.token_endpoint;
        let timeout = self.config.total_timeout;
        token::members(self.http.post(endpoint, authorization.as_ref(), &form, timeout).await)
    }

    /// A refreshed ID token is for the same issuer and client, and signed (OpenID Connect Core section 12.2). While it
    /// cannot be checked for want of keys it is left out: it is optional there, and a rotated refresh token is not.
    async fn check_refreshed(
        &self,
        provider: &Provider,
        client: &PoolClient,
        mut response: TokenResponse,
    ) -> Result<TokenResponse, RefreshError> {
        let Some(id_token) = &response.id_token else {
            return Ok(response);
        };
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &client.client_id,
            nonce: None,
            code: None,
            access_token: &response.access_token,
            now: self.clock.now(),
            leeway: self.config.leeway,
        };
        match self.directory.check_id_token(provider, id_token.expose(), &expected).await {
            Ok(_) => {}
            Err(NotTaken::NoKeys(problem)) => {
                tracing::warn!(%problem, "a refreshed ID token cannot be checked and is left out");
                response.id_token = None;
            }
            Err(refused @ NotTaken::Refused(_)) => {
                return Err(RefreshError::Unavailable(refused.to_string()));
            }
        }
        Ok(response)
    }
}

fn refresh_error(trouble: Trouble, client: &PoolClient) -> RefreshError {
    match trouble {
        Trouble::InvalidGrant => RefreshError::Refused,
        Trouble::InvalidScope => RefreshError::InvalidScope,
        Trouble::OurCredentials => {
            token::alarm(client);
            RefreshError::Unavailable("it refuses our client credentials".to_owned())
        }
        Trouble::Away(reason) | Trouble::Nonsense(reason) => RefreshError::Unavailable(reason),
    }
}
