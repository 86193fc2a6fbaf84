//! `/revoke` (RFC 7009).

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::client_auth::authenticate;
use super::error::OAuthError;
use crate::ledger::Revocation;
use crate::pool::DevPool;

pub(super) async fn post(State(pool): State<DevPool>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&pool, &headers, &body) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => error.into_response(),
    }
}

fn answer(pool: &DevPool, headers: &HeaderMap, body: &[u8]) -> Result<(), OAuthError> {
    let request = authenticate(pool, headers, body)?;
    let token = request.form.value("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    let access_tokens = pool.config().revoke_access_tokens;
    match pool.ledger().revoke(token, &request.client.client_id, access_tokens) {
        Revocation::Done => Ok(()),
        Revocation::OtherClient => {
            Err(OAuthError::new("unauthorized_client", "the token was issued to another client"))
        }
        Revocation::Unsupported => {
            Err(OAuthError::new("unsupported_token_type", "access tokens are not revoked here"))
        }
    }
}
