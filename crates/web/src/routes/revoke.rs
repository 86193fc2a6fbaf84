//! `POST /revoke`: tokens, proxied to the pool (RFC 7009), and device codes, which are our own.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use device_grant_domain::dpop::Proven;
use device_grant_protocol::{DeviceCode, ErrorCode, TOKEN_TYPE_DEVICE_CODE};

use crate::error::OAuthError;
use crate::extract::DeviceCall;
use crate::load::Lane;
use crate::nonce::hand_out;
use crate::state::AppState;

pub(crate) async fn post(State(state): State<AppState>, call: DeviceCall) -> Result<Response, OAuthError> {
    // Only who means a device code says so: without the hint it is a token that nobody knows.
    if call.value("token_type_hint") == Some(TOKEN_TYPE_DEVICE_CODE) {
        return cancel(&state, &call).await;
    }
    let _place = state.load.enter(Lane::Pool).ok_or_else(OAuthError::unavailable)?;
    let client = call.authenticate(&state, false).await?;
    // RT-14: no pretended success where the pool has no such endpoint.
    if state.service.pool.facts().is_ok_and(|facts| !facts.revokes) {
        return Err(OAuthError::described(ErrorCode::UnsupportedTokenType, "the user pool cannot revoke"));
    }
    let token = token(&call)?;
    state.service.revoke(&client, (token, call.value("token_type_hint")), call.network()).await?;
    Ok(StatusCode::OK.into_response())
}

/// The device gives its code up. That is between it and us, so it works at every pool.
async fn cancel(state: &AppState, call: &DeviceCall) -> Result<Response, OAuthError> {
    let _place = state.load.enter(Lane::Devices).ok_or_else(OAuthError::unavailable)?;
    let client = call.authenticate(state, false).await?;
    let device_code = DeviceCode::new(token(call)?);
    let Proven { proof, fresh_nonce } = call.prove(state, &client)?;
    state.service.cancel(&client, &device_code, proof.as_ref(), call.network()).await?;
    Ok(hand_out(fresh_nonce, StatusCode::OK.into_response()))
}

fn token(call: &DeviceCall) -> Result<&str, OAuthError> {
    call.value("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))
}
