//! The exchange of a code (RFC 6749 section 4.1.3), with the ID token checked before anything is handed on.

use device_grant_domain::pool::{Exchange, ExchangeError, PoolClient, PoolTokens};
use device_grant_protocol::{RefreshToken, TokenResponse};

use crate::account::account;
use crate::id_token::Expected;
use crate::metadata::Provider;
use crate::pool::OidcPool;
use crate::token::{self, Trouble};

impl OidcPool {
    pub(crate) async fn exchange_code(&self, exchange: &Exchange<'_>) -> Result<PoolTokens, ExchangeError> {
        let provider = self.directory.provider_with_keys().await;
        let provider = provider.map_err(|problem| ExchangeError::Unreachable(problem.0))?;
        let secret = token::secret(exchange.client);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", exchange.code.expose()),
            ("redirect_uri", exchange.redirect_uri.as_str()),
            ("code_verifier", exchange.verifier.expose()),
        ];
        let authorization = token::authenticate(exchange.client, secret.as_deref(), &mut form);
        let endpoint = &provider.token_endpoint;
        let outcome =
            self.http.post(endpoint, authorization.as_ref(), &form, self.config.total_timeout).await;
        let members = token::members(outcome).map_err(|trouble| exchange_error(trouble, exchange.client))?;

        let refresh_token = token::refresh_token(&members);
        let taken = match token::response(&members) {
            Ok(response) => self.take(&provider, exchange, response).await,
            Err(reason) => Err(ExchangeError::Unusable(reason.to_owned())),
        };
        if taken.is_err() {
            self.give_back(&provider, exchange.client, refresh_token).await;
        }
        taken
    }

    /// The tokens, if they are for us; otherwise why not, in words for an operator.
    async fn take(
        &self,
        provider: &Provider,
        exchange: &Exchange<'_>,
        response: TokenResponse,
    ) -> Result<PoolTokens, ExchangeError> {
        let id_token = response.id_token.as_ref();
        let missing = || ExchangeError::Unusable("its token response has no id_token".to_owned());
        let id_token = id_token.ok_or_else(missing)?;
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &exchange.client.client_id,
            nonce: Some(exchange.nonce),
            code: Some(exchange.code),
            access_token: &response.access_token,
            now: self.clock.now(),
            leeway: self.config.leeway,
        };
        let checked = self.directory.check_id_token(provider, id_token.expose(), &expected).await;
        let checked = checked.map_err(|reason| ExchangeError::Unusable(reason.to_string()))?;
        checked.meets(exchange.demand, &expected).map_err(ExchangeError::TooWeak)?;
        let account = account(&checked, &self.config.account_claim).map_err(ExchangeError::Unusable)?;
        Ok(PoolTokens { response, account })
    }

    /// Revokes tokens that nobody may have. Best effort: whatever comes of it, they are dropped here.
    async fn give_back(&self, provider: &Provider, client: &PoolClient, refresh_token: Option<RefreshToken>) {
        let Some(refresh_token) = refresh_token else {
            return;
        };
        let within = self.config.side_call_timeout();
        let revoked =
            self.revoke_at(provider, client, (refresh_token.expose(), Some("refresh_token")), within).await;
        if let Err(error) = revoked {
            tracing::warn!(%error, "a refresh token that was not handed out could not be revoked");
        }
    }
}

fn exchange_error(trouble: Trouble, client: &PoolClient) -> ExchangeError {
    match trouble {
        Trouble::InvalidGrant => ExchangeError::Refused,
        Trouble::InvalidScope => ExchangeError::Unusable("it refuses the scope of a code".to_owned()),
        Trouble::OurCredentials => {
            let words = "it refuses our client credentials".to_owned();
            // With another secret the code is still good: a pool looks at who asks before it looks at the code.
            if token::alarm(client) {
                ExchangeError::Unreachable(words)
            } else {
                ExchangeError::Unusable(words)
            }
        }
        Trouble::Away(reason) => ExchangeError::Unreachable(reason),
        Trouble::Nonsense(reason) => ExchangeError::Unusable(reason),
    }
}
