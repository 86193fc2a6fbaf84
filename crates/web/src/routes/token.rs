//! `POST /token`: polls, refreshes, and starts in the way of the original sample.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use device_grant_domain::PollOutcome;
use device_grant_domain::client::AuthError;
use device_grant_domain::dpop::Proven;
use device_grant_protocol::{
    DeviceCode, ErrorCode, ErrorResponse, GRANT_TYPE_DEVICE_CODE, GRANT_TYPE_REFRESH_TOKEN, RefreshToken,
};

use super::device_authorization;
use crate::config::OnStoreFailure;
use crate::error::OAuthError;
use crate::extract::DeviceCall;
use crate::load::Lane;
use crate::nonce::hand_out;
use crate::state::AppState;

/// Longer codes were never issued; they are refused unread (HI-03).
pub const MAX_DEVICE_CODE: usize = 256;

pub(crate) async fn post(State(state): State<AppState>, call: DeviceCall) -> Result<Response, OAuthError> {
    let sample_way = state.config.sample_way;
    let grant_type = if sample_way { call.sample_value("grant_type") } else { call.value("grant_type") };
    match grant_type {
        Some(GRANT_TYPE_DEVICE_CODE) => poll(&state, &call).await,
        Some(GRANT_TYPE_REFRESH_TOKEN) => refresh(&state, &call).await,
        Some(_) => Err(OAuthError::code(ErrorCode::UnsupportedGrantType)),
        None if starts(&call, sample_way) => device_authorization::start(&state, &call, true).await,
        None => Err(OAuthError::invalid_request("grant_type is missing")),
    }
}

/// Only a request with neither `grant_type` nor `device_code` starts (LG-05).
fn starts(call: &DeviceCall, sample_way: bool) -> bool {
    sample_way && !call.mentions("grant_type", true) && !call.mentions("device_code", true)
}

async fn poll(state: &AppState, call: &DeviceCall) -> Result<Response, OAuthError> {
    let sample_way = state.config.sample_way;
    let device_code = if sample_way { call.sample_value("device_code") } else { call.value("device_code") };
    let Some(_place) = state.load.enter(Lane::Devices) else {
        return Err(come_back(state, device_code));
    };
    let client = call.authenticate(state, sample_way).await;
    let client = client.map_err(|error| unauthenticated(state, error, device_code))?;
    if !client.grants.device_code {
        return Err(OAuthError::code(ErrorCode::UnauthorizedClient));
    }
    let device_code = device_code.ok_or_else(|| OAuthError::invalid_request("device_code is missing"))?;
    if device_code.len() > MAX_DEVICE_CODE {
        return Err(OAuthError::code(ErrorCode::InvalidGrant));
    }
    let Proven { proof, fresh_nonce } = call.prove(state, &client)?;
    let device_code = DeviceCode::new(device_code);
    let outcome = state.service.poll(&client, &device_code, proof.as_ref(), call.network()).await;
    Ok(hand_out(fresh_nonce, answer(state, outcome)))
}

fn answer(state: &AppState, outcome: PollOutcome) -> Response {
    let error = match outcome {
        PollOutcome::Tokens(tokens) => return Json(tokens).into_response(),
        PollOutcome::Pending => OAuthError::code(ErrorCode::AuthorizationPending),
        PollOutcome::SlowDown(interval) => OAuthError::new(ErrorResponse::slow_down(u64::from(interval))),
        PollOutcome::Denied => OAuthError::code(ErrorCode::AccessDenied),
        PollOutcome::Expired => OAuthError::code(ErrorCode::ExpiredToken),
        PollOutcome::InvalidGrant => OAuthError::code(ErrorCode::InvalidGrant),
        PollOutcome::ProofRefused(refused) => refused.into(),
        PollOutcome::Undecidable(interval) => undecidable(state.config.on_store_failure, interval),
    };
    error.into_response()
}

/// A client that may well be who it says hears what makes it come back, like any poll that cannot be decided (TP-18).
fn unauthenticated(state: &AppState, error: AuthError, device_code: Option<&str>) -> OAuthError {
    match error {
        AuthError::Undecided => come_back(state, device_code),
        AuthError::Throttled(wait) => come_back(state, device_code).retry_after(wait),
        AuthError::Missing | AuthError::Several | AuthError::Failed => error.into(),
    }
}

/// What a poll hears of which nothing is known but its device code.
fn come_back(state: &AppState, device_code: Option<&str>) -> OAuthError {
    let interval = state.service.present_interval(&DeviceCode::new(device_code.unwrap_or_default()));
    undecidable(state.config.on_store_failure, interval)
}

fn undecidable(switch: OnStoreFailure, interval: u32) -> OAuthError {
    match switch {
        OnStoreFailure::SlowDown => OAuthError::new(ErrorResponse::slow_down(u64::from(interval))),
        OnStoreFailure::ServiceUnavailable => {
            OAuthError::unavailable().retry_after(Duration::from_secs(u64::from(interval)))
        }
    }
}

async fn refresh(state: &AppState, call: &DeviceCall) -> Result<Response, OAuthError> {
    let _place = state.load.enter(Lane::Pool).ok_or_else(OAuthError::unavailable)?;
    let client = call.authenticate(state, false).await?;
    let token =
        call.value("refresh_token").ok_or_else(|| OAuthError::invalid_request("refresh_token is missing"))?;
    let scope = call.value("scope").map(str::parse).transpose();
    let scope = scope.map_err(|_| OAuthError::code(ErrorCode::InvalidScope))?;
    let Proven { proof, fresh_nonce } = call.prove(state, &client)?;
    let token = RefreshToken::new(token);
    let refreshed =
        state.service.refresh(&client, (&token, scope.as_ref()), proof.as_ref(), call.network()).await;
    Ok(hand_out(fresh_nonce, refreshed.map(Json).map_err(OAuthError::from)))
}
