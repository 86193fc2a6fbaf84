//! The revocation of a token (RFC 7009), passed on.

use std::time::Duration;

use device_grant_domain::pool::{PoolClient, RevokeError};
use reqwest::StatusCode;

use crate::http::Answer;
use crate::metadata::Provider;
use crate::pool::OidcPool;
use crate::token;

impl OidcPool {
    pub(crate) async fn pass_revocation_on(
        &self,
        client: &PoolClient,
        (token, hint): (&str, Option<&str>),
    ) -> Result<(), RevokeError> {
        let provider = self.directory.provider().await;
        let provider = provider.map_err(|problem| RevokeError::Unavailable(problem.0))?;
        self.revoke_at(&provider, client, (token, hint), self.config.total_timeout).await
    }

    pub(crate) async fn revoke_at(
        &self,
        provider: &Provider,
        client: &PoolClient,
        (token, hint): (&str, Option<&str>),
        within: Duration,
    ) -> Result<(), RevokeError> {
        let Some(endpoint) = &provider.revocation_endpoint else {
            return Err(RevokeError::UnsupportedTokenType);
        };
        let secret = token::secret(client);
        let mut form = vec![("token", token)];
        form.extend(hint.map(|hint| ("token_type_hint", hint)));
        let authorization = token::authenticate(client, secret.as_deref(), &mut form);
        let answer = self.http.post(endpoint, authorization.as_ref(), &form, within).await;
        verdict(&answer.map_err(|error| RevokeError::Unavailable(error.to_string()))?, client)
    }
}

/// Only an answer that says so is a success: 200, or that the token is no good (any more) in other words.
fn verdict(answer: &Answer, client: &PoolClient) -> Result<(), RevokeError> {
    if matches!(answer.status, StatusCode::OK | StatusCode::NO_CONTENT) {
        return Ok(());
    }
    let is_refusal = answer.status.is_client_error() && answer.status != StatusCode::TOO_MANY_REQUESTS;
    let code = if is_refusal { token::error_code(&answer.body) } else { None };
    match code.as_deref() {
        Some("unsupported_token_type") => Err(RevokeError::UnsupportedTokenType),
        // Google's words for a token that is unknown or revoked already.
        Some("invalid_token") => Ok(()),
        Some("invalid_client") => {
            token::alarm(client);
            Err(RevokeError::Unavailable("it refuses our client credentials".to_owned()))
        }
        _ => Err(RevokeError::Unavailable(format!("it answers {}", answer.status.as_u16()))),
    }
}

#[cfg(test)]
mod tests {
    use device_grant_protocol::AuthMethod;

    use super::*;

    fn judged(status: u16, body: &str) -> Result<(), RevokeError> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            is_json: true,
            body: body.as_bytes().to_vec(),
        };
        let client = PoolClient { client_id: "tv".into(), secret: None, auth_method: AuthMethod::None };
        verdict(&answer, &client)
    }

    /// RT-11, RT-13, RT-14: success is only what says so.
    #[test]
    fn answers_of_a_revocation_are_told_apart() {
        for (status, body) in [(200, ""), (204, ""), (400, r#"{"error":"invalid_token"}"#)] {
            assert!(judged(status, body).is_ok(), "{status} {body}");
        }
        let unsupported = judged(400, r#"{"error":"unsupported_token_type"}"#);
        assert!(matches!(unsupported, Err(RevokeError::UnsupportedTokenType)));
        for (status, body) in [
            (202, ""),
            (302, ""),
            (400, "{}"),
            (401, r#"{"error":"invalid_client"}"#),
            (404, ""),
            (429, r#"{"error":"invalid_token"}"#),
            (500, r#"{"error":"unsupported_token_type"}"#),
            (503, ""),
        ] {
            assert!(matches!(judged(status, body), Err(RevokeError::Unavailable(_))), "{status} {body}");
        }
    }
}
