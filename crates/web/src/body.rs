//! Bodies: whole, small and in time before anything else happens (HI-01, HI-02).
//!
//! Whoever sends one byte a second holds a connection by that, and no place among those who are being answered.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, header};
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::error::OAuthError;
use crate::pages::Problem;
use crate::state::AppState;

/// The most bytes that a body may have.
pub const MAX_BODY: usize = 32 * 1024;

/// Why there is no whole body.
enum Cut {
    /// Longer than [`MAX_BODY`], or the connection broke.
    Unusable,
    /// Slower than `network.body_timeout_s`.
    Slow,
}

/// Reads the bodies of forms; of what has none by its method nothing is read.
async fn read(state: &AppState, request: Request) -> Result<Request, Cut> {
    if request.method() != Method::POST {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(state.config.body_timeout, to_bytes(body, MAX_BODY)).await;
    let bytes = read.map_err(|_| Cut::Slow)?.map_err(|_| Cut::Unusable)?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

pub(crate) async fn of_devices(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response<Body> {
    match read(&state, request).await {
        Ok(request) => next.run(request).await,
        Err(Cut::Unusable) => OAuthError::invalid_request("the body is too large or broken").into_response(),
        Err(Cut::Slow) => closing(OAuthError::slow_body().into_response()),
    }
}

pub(crate) async fn of_people(State(state): State<AppState>, request: Request, next: Next) -> Response<Body> {
    match read(&state, request).await {
        Ok(request) => next.run(request).await,
        Err(Cut::Unusable) => state.pages.problem(Problem::BadRequest),
        Err(Cut::Slow) => closing(state.pages.problem(Problem::TooSlow)),
    }
}

/// The rest of the body is not waited for (RFC 9110 section 15.5.9).
fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
