//! `/livez` and `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::extract::FORWARDED_FOR;
use crate::state::AppState;
use crate::transport::FORWARDED_PROTO;

/// RFC 7239, which some proxies write instead of the others. Nothing here believes it.
const FORWARDED: &str = "forwarded";

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
///
/// The reasons name the pool, hosts and keys. They are for whoever reaches this port, not for whoever comes through a proxy:
/// a balancer's own checks have none of the headers by which it passes on.
pub(crate) async fn readyz(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let pool = state.service.pool.trouble().map(|problem| format!("user pool: {problem}"));
    let store = state.health.store_problem().map(|problem| format!("store: {problem}"));
    let mut reasons: Vec<String> = store.into_iter().chain(pool).collect();
    let missing = state.service.missing_key().map(|key| {
        format!(
            "keyring: the key {key} is active on other replicas and missing here; give this one their keyring"
        )
    });
    let unready = state.health.unready().map(str::to_owned).or(missing);
    let (code, status) = match &unready {
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        None if reasons.is_empty() => (StatusCode::OK, "ready"),
        None => (StatusCode::OK, "degraded"),
    };
    reasons.splice(..0, unready);
    if [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED].iter().any(|name| headers.contains_key(*name)) {
        reasons.clear();
    }
    (code, Json(Report { status, reasons })).into_response()
}
