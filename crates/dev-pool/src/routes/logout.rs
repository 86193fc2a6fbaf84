//! `/logout` (OpenID Connect RP-Initiated Logout §2): ends the browser's session. Refresh tokens live on.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::{callback, session_cookie};
use crate::config::Ways;
use crate::params::Params;
use crate::pool::DevPool;

pub(super) async fn get(
    State(pool): State<DevPool>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&pool, &headers, query.unwrap_or_default().as_bytes())
}

pub(super) async fn post(State(pool): State<DevPool>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&pool, &headers, &body)
}

fn answer(pool: &DevPool, headers: &HeaderMap, encoded: &[u8]) -> Response {
    if let Some(id) = session_cookie::read(headers) {
        pool.ledger().end_session(id);
    }
    let params = Params::parse(encoded);
    let parameter =
        if pool.config().ways == Ways::Cognito { "logout_uri" } else { "post_logout_redirect_uri" };
    let mut response = match params.value(parameter) {
        None => pool.pages().message(StatusCode::OK, "Signed out", "This browser is signed out of the pool."),
        Some(uri) => match registered(pool, &params, uri) {
            Some(target) => callback::see_other(target.as_str()),
            None => pool.pages().message(
                StatusCode::BAD_REQUEST,
                "Signed out",
                "This browser is signed out. The address to go on to is not registered for the client.",
            ),
        },
    };
    if let Ok(cookie) = HeaderValue::try_from(session_cookie::remove()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The address to go on to, with the `state`, if the client has registered it.
fn registered(pool: &DevPool, params: &Params, uri: &str) -> Option<Url> {
    // The hint names a client and no more, as `client_id` does, so its signature is of no consequence here.
    let hinted = params.value("id_token_hint").and_then(audience);
    let client = pool.client(params.value("client_id").or(hinted.as_deref())?)?;
    if !client.post_logout_redirect_uris.iter().any(|known| known == uri) {
        return None;
    }
    let mut target = Url::parse(uri).ok()?;
    if let Some(state) = params.value("state") {
        target.query_pairs_mut().append_pair("state", state);
    }
    Some(target)
}

fn audience(id_token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(id_token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims["aud"].as_str().map(str::to_owned)
}
