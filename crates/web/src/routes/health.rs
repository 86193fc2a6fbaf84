//! `/livez` and `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::state::AppState;

#[derive(Serialize)]
struct Report {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

pub(crate) async fn livez() -> impl IntoResponse {
    Json(Report { status: "ok", reasons: Vec::new() })
}

/// 503 only for what is wrong with this replica alone. A store or a pool that is away is away for every replica: that
/// is `degraded`, and stays 200.
pub(crate) async fn readyz(State(state): State<AppState>) -> Response {
    let pool = state.service.pool.trouble().map(|problem| format!("user pool: {problem}"));
    let store = state.health.store_problem().map(|problem| format!("store: {problem}"));
    let mut reasons: Vec<String> = store.into_iter().chain(pool).collect();
    let missing = state.service.missing_key().map(|key| {
        format!(
            "keyring: the key {key} is active on other replicas and missing here; give this one their keyring"
        )
    });
    if let Some(unready) = state.health.unready().map(str::to_owned).or(missing) {
        reasons.insert(0, unready);
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Report { status: "not ready", reasons }))
            .into_response();
    }
    let status = if reasons.is_empty() { "ready" } else { "degraded" };
    Json(Report { status, reasons }).into_response()
}
