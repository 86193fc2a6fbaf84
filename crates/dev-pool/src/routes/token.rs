//! `/token` (RFC 6749 §3.2): `authorization_code` with PKCE, and `refresh_token`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

use super::client_auth::{Authenticated, authenticate};
use super::error::OAuthError;
use crate::pool::DevPool;
use crate::tokens::{self, Answering};

pub(super) async fn post(State(pool): State<DevPool>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&pool, &headers, &body) {
        Ok(response) => {
            let no_store = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
            (no_store, Json(response)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn answer(pool: &DevPool, headers: &HeaderMap, body: &[u8]) -> Result<Value, OAuthError> {
    let request = authenticate(pool, headers, body)?;
    match request.form.value("grant_type") {
        Some("authorization_code") => authorization_code(pool, &request),
        Some("refresh_token") => refresh_token(pool, &request),
        Some(_) => Err(OAuthError::new("unsupported_grant_type", "authorization_code or refresh_token")),
        None => Err(OAuthError::invalid_request("grant_type is missing")),
    }
}

fn authorization_code(pool: &DevPool, request: &Authenticated<'_>) -> Result<Value, OAuthError> {
    let required = |name| request.form.value(name);
    let (Some(code), Some(redirect_uri), Some(verifier)) =
        (required("code"), required("redirect_uri"), required("code_verifier"))
    else {
        return Err(OAuthError::invalid_request("code, redirect_uri and code_verifier are required"));
    };
    let redeemed = pool.ledger().redeem(code, &request.client.client_id, redirect_uri, verifier, pool.now());
    let (id, grant) = redeemed?;
    tokens::respond(pool, id, &grant, Answering::Code).ok_or_else(nobody)
}

fn refresh_token(pool: &DevPool, request: &Authenticated<'_>) -> Result<Value, OAuthError> {
    let token = request.form.value("refresh_token");
    let token = token.ok_or_else(|| OAuthError::invalid_request("refresh_token is missing"))?;
    let (scope, rotate) = (request.form.value("scope"), pool.config().rotate_refresh_tokens);
    let refreshed = pool.ledger().refresh(token, &request.client.client_id, scope, rotate, pool.now());
    let (id, grant) = refreshed?;
    tokens::respond(pool, id, &grant, Answering::Refresh).ok_or_else(nobody)
}

fn nobody() -> OAuthError {
    OAuthError::new("invalid_grant", "the person is not in the pool")
}
