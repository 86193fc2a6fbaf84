//! `/.well-known/oauth-authorization-server` (RFC 8414).

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use device_grant_domain::jws::SigningAlgorithm;
use device_grant_protocol::{AuthMethod, GRANT_TYPE_DEVICE_CODE, GRANT_TYPE_REFRESH_TOKEN, ServerMetadata};

use crate::state::AppState;

pub(crate) async fn get(State(state): State<AppState>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(metadata(&state)))
}

/// Nothing here depends on the request: configuration and the pool's discovery decide (MD-02).
fn metadata(state: &AppState) -> ServerMetadata {
    let (settings, clients) = (&state.service.settings, state.service.clients.all());
    let mut methods: BTreeSet<AuthMethod> =
        clients.iter().flat_map(|client| client.auth.methods()).copied().collect();
    if state.service.clients.has_directory() {
        // Whoever is found there has a secret or none.
        methods.extend([AuthMethod::None, AuthMethod::ClientSecretBasic]);
    }
    let methods: Vec<AuthMethod> = methods.into_iter().collect();
    let algorithms: BTreeSet<&str> = clients
        .iter()
        .flat_map(|client| client.auth.algorithms())
        .map(|algorithm| algorithm.as_str())
        .collect();
    let algorithms = listed(algorithms);
    let dpop = clients.iter().filter(|client| client.dpop.is_on()).flat_map(|_| SigningAlgorithm::OF_DEVICES);
    let dpop: BTreeSet<&str> = dpop.map(SigningAlgorithm::as_str).collect();
    let scopes: BTreeSet<&str> = clients.iter().flat_map(|client| client.scopes.tokens()).collect();
    let revokes = state.service.pool.facts().is_ok_and(|facts| facts.revokes);
    let refreshes =
        state.service.clients.has_directory() || clients.iter().any(|client| client.grants.refresh_token);
    let grants = [Some(GRANT_TYPE_DEVICE_CODE), refreshes.then_some(GRANT_TYPE_REFRESH_TOKEN)];
    ServerMetadata {
        issuer: settings.issuer(),
        token_endpoint: settings.at("/token").into(),
        device_authorization_endpoint: settings.at("/device_authorization").into(),
        grant_types_supported: grants.into_iter().flatten().map(str::to_owned).collect(),
        revocation_endpoint: revokes.then(|| settings.at("/revoke").into()),
        revocation_endpoint_auth_methods_supported: revokes.then(|| methods.clone()),
        revocation_endpoint_auth_signing_alg_values_supported: algorithms.clone().filter(|_| revokes),
        token_endpoint_auth_methods_supported: methods,
        token_endpoint_auth_signing_alg_values_supported: algorithms,
        dpop_signing_alg_values_supported: listed(dpop),
        scopes_supported: listed(scopes),
    }
}

/// An empty list is left out (RFC 8414 section 3.2).
fn listed(values: BTreeSet<&str>) -> Option<Vec<String>> {
    (!values.is_empty()).then(|| values.into_iter().map(str::to_owned).collect())
}
