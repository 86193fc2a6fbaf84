use std::sync::Mutex;

use async_trait::async_trait;
use device_grant_domain::pool::{
    AuthorizeTrip, Exchange, ExchangeError, PoolClient, PoolFacts, PoolProblem, PoolTokens, RefreshError,
    RevokeError, UserPool,
};
use device_grant_protocol::{RefreshToken, Scope, TokenResponse};
use url::Url;

/// A pool that refuses everything, and remembers the last token that it was shown.
#[derive(Default)]
pub struct Heard(Mutex<Option<String>>);

impl Heard {
    /// The token, if there was one since the last call.
    pub fn take(&self) -> Option<String> {
        self.0.lock().expect("nothing panics with it").take()
    }

    fn note(&self, token: &str) {
        *self.0.lock().expect("nothing panics with it") = Some(token.to_owned());
    }
}

#[async_trait]
impl UserPool for Heard {
    async fn authorize_url(&self, trip: AuthorizeTrip<'_>) -> Result<Url, PoolProblem> {
        let mut url: Url = "https://pool.example/authorize".parse().expect("a constant URL");
        url.query_pairs_mut().append_pair("state", trip.state.expose());
        Ok(url)
    }

    async fn is_from_pool(&self, iss: Option<&str>) -> Result<bool, PoolProblem> {
        Ok(iss.is_none())
    }

    async fn exchange(&self, _: Exchange<'_>) -> Result<PoolTokens, ExchangeError> {
        Err(ExchangeError::Refused)
    }

    async fn refresh(
        &self,
        _: &PoolClient,
        token: &RefreshToken,
        _: Option<&Scope>,
    ) -> Result<TokenResponse, RefreshError> {
        self.note(token.expose());
        Err(RefreshError::Refused)
    }

    async fn revoke(&self, _: &PoolClient, token: &str, _: Option<&str>) -> Result<(), RevokeError> {
        self.note(token);
        Ok(())
    }

    async fn end_session_url(&self, _: &PoolClient, _: &Url) -> Option<Url> {
        None
    }

    fn facts(&self) -> Result<PoolFacts, PoolProblem> {
        Ok(PoolFacts { revokes: true, pairwise_only: false })
    }

    fn trouble(&self) -> Option<PoolProblem> {
        None
    }
}
