//! What happens to every request before and after its handler: the log, and the faults of its endpoint.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{Full, Limited};

use crate::faults::{CannedResponse, Endpoint, Fault};
use crate::pool::DevPool;
use crate::request_log::{LoggedRequest, logged_headers, logged_pairs};

/// No request to a pool is larger.
const BODY_LIMIT: usize = 64 * 1024;

/// What the endpoints of Cognito's domains lie below.
const COGNITO: &str = "/oauth2";

pub(crate) async fn intake(State(pool): State<DevPool>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let issuer_path = pool.config().issuer.path().trim_end_matches('/');
    let path = parts.uri.path();
    let below = path.strip_prefix(issuer_path).unwrap_or(path);
    let endpoint = Endpoint::at(below.strip_prefix(COGNITO).unwrap_or(below));
    pool.requests().push(LoggedRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: logged_pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        headers: logged_headers(&parts.headers),
        form: logged_pairs(&body),
        at: pool.now(),
        endpoint,
    });

    let fault = endpoint.and_then(|endpoint| pool.faults().take(endpoint));
    let work = next.run(Request::from_parts(parts, Body::from(body)));
    match fault {
        None => work.await,
        Some(Fault::Hold(hold)) => {
            hold.wait().await;
            work.await
        }
        Some(Fault::HoldAnswer(hold)) => {
            let response = work.await;
            hold.wait().await;
            response
        }
        Some(Fault::Respond(canned)) => respond(canned),
        Some(Fault::Drop) => hang_up(),
        Some(Fault::DropAnswer) => {
            work.await;
            hang_up()
        }
    }
}

fn respond(canned: CannedResponse) -> Response {
    let mut response = (canned.status, Body::from(canned.body)).into_response();
    for (name, value) in canned.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return (StatusCode::NOT_IMPLEMENTED, "a canned header cannot be sent").into_response();
        };
        response.headers_mut().append(name, value);
    }
    response
}

/// An answer whose body fails at its first byte: the server ends the connection before a byte of it leaves.
fn hang_up() -> Response {
    Response::new(Body::new(Limited::new(Full::new(Bytes::from_static(b"never sent")), 1)))
}
