//! The `DPoP-Nonce` header (RFC 9449 section 8.1).

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// `answer`, with a nonce for the next proof if there is one.
pub(crate) fn hand_out(nonce: Option<String>, answer: impl IntoResponse) -> Response {
    let mut answer = answer.into_response();
    if let Some(nonce) = nonce {
        let value = HeaderValue::try_from(nonce).expect("a nonce is base64url, which a header takes");
        answer.headers_mut().insert(DPOP_NONCE, value);
    }
    answer
}
