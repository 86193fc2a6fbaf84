//! `POST /device_authorization`: a device starts (RFC 8628 section 3.1).

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use device_grant_domain::Origin;
use device_grant_domain::dpop::Proven;
use device_grant_protocol::{ErrorCode, Scope};

use crate::error::OAuthError;
use crate::extract::DeviceCall;
use crate::load::Lane;
use crate::nonce::hand_out;
use crate::state::AppState;

pub(crate) async fn post(State(state): State<AppState>, call: DeviceCall) -> Result<Response, OAuthError> {
    start(&state, &call, false).await
}

/// Starts a request. `sample_way` reads parameters from the query too.
pub(crate) async fn start(
    state: &AppState,
    call: &DeviceCall,
    sample_way: bool,
) -> Result<Response, OAuthError> {
    let _place = state.load.enter(Lane::Devices).ok_or_else(OAuthError::unavailable)?;
    let client = call.authenticate(state, sample_way).await?;
    let scope = if sample_way { call.sample_value("scope") } else { call.value("scope") };
    let asked: Scope =
        scope.unwrap_or_default().parse().map_err(|error: device_grant_protocol::InvalidScope| {
            OAuthError::described(ErrorCode::InvalidScope, error.to_string())
        })?;
    let origin = Origin { network: call.network(), device: call.kind() };
    let Proven { proof, fresh_nonce } = call.prove(state, &client)?;
    let started = state.service.start(&client, asked, &origin, proof.as_ref()).await;
    Ok(hand_out(fresh_nonce, started.map(Json).map_err(OAuthError::from)))
}
