//! `POST /revoke`: proxied to the pool (RFC 7009).

use axum::extract::State;
use axum::http::StatusCode;
use device_grant_protocol::ErrorCode;

use crate::error::OAuthError;
use crate::extract::DeviceCall;
use crate::load::Lane;
use crate::state::AppState;

pub(crate) async fn post(State(state): State<AppState>, call: DeviceCall) -> Result<StatusCode, OAuthError> {
    let _place = state.load.enter(Lane::Pool).ok_or_else(OAuthError::unavailable)?;
    let client = call.authenticate(&state, false).await?;
    // RT-14: no pretended success where the pool has no such endpoint.
    if state.service.pool.facts().is_ok_and(|facts| !facts.revokes) {
        return Err(OAuthError::described(ErrorCode::UnsupportedTokenType, "the user pool cannot revoke"));
    }
    let token = call.value("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    state.service.revoke(&client, (token, call.value("token_type_hint")), call.network()).await?;
    Ok(StatusCode::OK)
}
