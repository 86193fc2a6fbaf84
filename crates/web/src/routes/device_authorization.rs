//! `POST /device_authorization`: a device starts (RFC 8628 section 3.1).

use axum::Json;
use axum::extract::State;
use device_grant_domain::Origin;
use device_grant_protocol::{DeviceAuthorizationResponse, ErrorCode, Scope};

use crate::error::OAuthError;
use crate::extract::DeviceCall;
use crate::state::AppState;

pub(crate) async fn post(
    State(state): State<AppState>,
    call: DeviceCall,
) -> Result<Json<DeviceAuthorizationResponse>, OAuthError> {
    start(&state, &call, false).await
}

/// Starts a request. `sample_way` reads parameters from the query too.
pub(crate) async fn start(
    state: &AppState,
    call: &DeviceCall,
    sample_way: bool,
) -> Result<Json<DeviceAuthorizationResponse>, OAuthError> {
    let client = call.authenticate(state, sample_way).await?;
    let scope = if sample_way { call.sample_value("scope") } else { call.value("scope") };
    let asked: Scope =
        scope.unwrap_or_default().parse().map_err(|error: device_grant_protocol::InvalidScope| {
            OAuthError::described(ErrorCode::InvalidScope, error.to_string())
        })?;
    let origin = Origin { network: call.network(), device: call.kind() };
    Ok(Json(state.service.start(&client, asked, &origin).await?))
}
