//! The refresh (RFC 6749 section 6), passed on once.

use device_grant_domain::pool::{PoolClient, RefreshError};
use device_grant_protocol::{GRANT_TYPE_REFRESH_TOKEN, RefreshToken, Scope, TokenResponse};

use crate::discovery::NotTaken;
use crate::id_token::Expected;
use crate::metadata::Provider;
use crate::pool::OidcPool;
use crate::token::{self, Trouble};

impl OidcPool {
    pub(crate) async fn pass_refresh_on(
        &self,
        client: &PoolClient,
        refresh_token: &RefreshToken,
        scope: Option<&Scope>,
    ) -> Result<TokenResponse, RefreshError> {
        let provider = self.directory.provider().await;
        let provider = provider.map_err(|problem| RefreshError::Unavailable(problem.0))?;
        let scope = scope.filter(|scope| !scope.is_empty()).map(Scope::to_string);
        let secret = token::secret(client);
        let mut form =
            vec![("grant_type", GRANT_TYPE_REFRESH_TOKEN), ("refresh_token", refresh_token.expose())];
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let authorization = token::authenticate(client, secret.as_deref(), &mut form);
        let endpoint = &provider.token_endpoint;
        let outcome =
            self.http.post(endpoint, authorization.as_ref(), &form, self.config.total_timeout).await;
        let members = token::members(outcome).map_err(|trouble| refresh_error(trouble, client))?;
        let unusable = |reason: &str| RefreshError::Unavailable(reason.to_owned());
        let response = token::response(&members).map_err(unusable)?;
        self.check_refreshed(&provider, client, response).await
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
