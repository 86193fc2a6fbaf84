//! Every error of the device's endpoints, on its way out (RFC 6749 section 5.2).

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use device_grant_domain::client::AuthError;
use device_grant_domain::dpop::ProofError;
use device_grant_domain::{RefreshRefusal, RevokeRefusal, StartError};
use device_grant_protocol::{ErrorCode, ErrorResponse, FormError};

use crate::nonce::hand_out;

/// Seconds a device is asked to wait when something of ours or of the pool is away.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An OAuth error with its status and headers.
#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    body: ErrorResponse,
    retry_after: Option<Duration>,
    /// The nonce that the next proof must carry.
    dpop_nonce: Option<String>,
}

impl OAuthError {
    pub(crate) fn new(body: ErrorResponse) -> Self {
        let status = match body.error {
            ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
            ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::InvalidRequest
            | ErrorCode::InvalidGrant
            | ErrorCode::UnauthorizedClient
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::InvalidScope
            | ErrorCode::AuthorizationPending
            | ErrorCode::SlowDown
            | ErrorCode::AccessDenied
            | ErrorCode::ExpiredToken
            | ErrorCode::InvalidDpopProof
            | ErrorCode::UseDpopNonce
            | ErrorCode::UnsupportedTokenType => StatusCode::BAD_REQUEST,
        };
        let retry_after = match body.error {
            ErrorCode::TemporarilyUnavailable => Some(RETRY_AFTER),
            ErrorCode::SlowDown => body.interval.map(Duration::from_secs),
            _ => None,
        };
        Self { status, body, retry_after, dpop_nonce: None }
    }

    pub(crate) fn code(error: ErrorCode) -> Self {
        Self::new(ErrorResponse::new(error))
    }

    pub(crate) fn described(
        error: ErrorCode,
        description: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorResponse::described(error, description))
    }

    pub(crate) fn invalid_request(description: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::described(ErrorCode::InvalidRequest, description)
    }

    pub(crate) fn unavailable() -> Self {
        Self::code(ErrorCode::TemporarilyUnavailable)
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The body did not arrive in time (HI-02).
    pub(crate) fn slow_body() -> Self {
        Self { status: StatusCode::REQUEST_TIMEOUT, ..Self::invalid_request("the body came too slowly") }
    }

    fn too_many(wait: Duration, words: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        let error = Self::described(ErrorCode::TemporarilyUnavailable, words).retry_after(wait);
        Self { status: StatusCode::TOO_MANY_REQUESTS, ..error }
    }
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<AuthError> for OAuthError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing | AuthError::Several => Self::invalid_request(error.to_string()),
            AuthError::Failed => Self::described(ErrorCode::InvalidClient, error.to_string()),
            AuthError::Throttled(wait) => Self::too_many(wait, error.to_string()),
            AuthError::Undecided => Self::unavailable(),
        }
    }
}

impl From<ProofError> for OAuthError {
    fn from(error: ProofError) -> Self {
        let words = error.to_string();
        match error {
            ProofError::Refused(_) => Self::described(ErrorCode::InvalidDpopProof, words),
            ProofError::UseNonce(nonce) => {
                Self { dpop_nonce: Some(nonce), ..Self::described(ErrorCode::UseDpopNonce, words) }
            }
        }
    }
}

impl From<StartError> for OAuthError {
    fn from(error: StartError) -> Self {
        match &error {
            StartError::Proof(refused) => refused.clone().into(),
            StartError::InvalidScope => Self::described(ErrorCode::InvalidScope, error.to_string()),
            StartError::UnauthorizedClient | StartError::ForeignNetwork => {
                Self::described(ErrorCode::UnauthorizedClient, error.to_string())
            }
            StartError::TooMany(wait) => {
                Self::too_many(*wait, "too many device authorizations from this network")
            }
            StartError::NoCodeFree => {
                tracing::error!(%error, "a request was not started");
                Self::unavailable()
            }
            StartError::Unavailable(cause) => {
                tracing::error!(error = %cause, "a request was not started");
                Self::unavailable()
            }
        }
    }
}

impl From<RefreshRefusal> for OAuthError {
    fn from(refusal: RefreshRefusal) -> Self {
        match refusal {
            RefreshRefusal::UnauthorizedClient => {
                Self::described(ErrorCode::UnauthorizedClient, refusal.to_string())
            }
            RefreshRefusal::Proof(refused) => refused.into(),
            RefreshRefusal::InvalidGrant => Self::code(ErrorCode::InvalidGrant),
            RefreshRefusal::InvalidScope => Self::code(ErrorCode::InvalidScope),
            RefreshRefusal::TooMany(wait) => Self::too_many(wait, refusal.to_string()),
            RefreshRefusal::Unavailable => Self::unavailable(),
        }
    }
}

impl From<RevokeRefusal> for OAuthError {
    fn from(refusal: RevokeRefusal) -> Self {
        match refusal {
            RevokeRefusal::Proof(refused) => refused.into(),
            RevokeRefusal::UnsupportedTokenType => Self::code(ErrorCode::UnsupportedTokenType),
            RevokeRefusal::TooMany(wait) => Self::too_many(wait, refusal.to_string()),
            RevokeRefusal::Unavailable => Self::unavailable(),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let error = self.body.error;
        let mut response = (self.status, Json(self.body)).into_response();
        // For whoever counts answers.
        response.extensions_mut().insert(error);
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            // CA-05: any 401 carries a challenge (RFC 9110 section 11.6.1).
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"device-grant\", charset=\"UTF-8\""),
            );
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        hand_out(self.dpop_nonce, response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TP-15, CA-05: each code has its status, a 401 its challenge, and what passes a wait.
    #[test]
    fn every_error_has_its_status_and_headers() {
        let table = [
            (ErrorCode::InvalidRequest, 400, false, false),
            (ErrorCode::InvalidClient, 401, true, false),
            (ErrorCode::InvalidGrant, 400, false, false),
            (ErrorCode::UnauthorizedClient, 400, false, false),
            (ErrorCode::UnsupportedGrantType, 400, false, false),
            (ErrorCode::InvalidScope, 400, false, false),
            (ErrorCode::AuthorizationPending, 400, false, false),
            (ErrorCode::AccessDenied, 400, false, false),
            (ErrorCode::ExpiredToken, 400, false, false),
            (ErrorCode::UnsupportedTokenType, 400, false, false),
            (ErrorCode::TemporarilyUnavailable, 503, false, true),
            (ErrorCode::ServerError, 500, false, false),
        ];
        for (code, status, challenge, wait) in table {
            let response = OAuthError::code(code).into_response();
            assert_eq!(response.status().as_u16(), status, "{code:?}");
            assert_eq!(response.headers().contains_key(header::WWW_AUTHENTICATE), challenge, "{code:?}");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), wait, "{code:?}");
        }
        let slow_down = OAuthError::new(ErrorResponse::slow_down(15)).into_response();
        assert_eq!(
            (slow_down.status().as_u16(), &slow_down.headers()[header::RETRY_AFTER]),
            (400, &HeaderValue::from(15))
        );
    }

    /// Each code, in the order of the page. A code that is added does not compile here until it has a row.
    const CODES: [ErrorCode; 15] = [
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidClient,
        ErrorCode::InvalidGrant,
        ErrorCode::UnauthorizedClient,
        ErrorCode::UnsupportedGrantType,
        ErrorCode::InvalidScope,
        ErrorCode::AuthorizationPending,
        ErrorCode::SlowDown,
        ErrorCode::AccessDenied,
        ErrorCode::ExpiredToken,
        ErrorCode::InvalidDpopProof,
        ErrorCode::UseDpopNonce,
        ErrorCode::UnsupportedTokenType,
        ErrorCode::TemporarilyUnavailable,
        ErrorCode::ServerError,
    ];

    const fn row(code: ErrorCode) -> usize {
        match code {
            ErrorCode::InvalidRequest => 0,
            ErrorCode::InvalidClient => 1,
            ErrorCode::InvalidGrant => 2,
            ErrorCode::UnauthorizedClient => 3,
            ErrorCode::UnsupportedGrantType => 4,
            ErrorCode::InvalidScope => 5,
            ErrorCode::AuthorizationPending => 6,
            ErrorCode::SlowDown => 7,
            ErrorCode::AccessDenied => 8,
            ErrorCode::ExpiredToken => 9,
            ErrorCode::InvalidDpopProof => 10,
            ErrorCode::UseDpopNonce => 11,
            ErrorCode::UnsupportedTokenType => 12,
            ErrorCode::TemporarilyUnavailable => 13,
            ErrorCode::ServerError => 14,
        }
    }

    const PAGE: &str = include_str!("../../../docs/reference/errors.md");

    #[test]
    fn the_page_of_errors_has_every_code_with_its_status() {
        let rows: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| [`")).collect();
        assert_eq!(rows.len(), CODES.len());
        for (at, code) in CODES.into_iter().enumerate() {
            assert_eq!(row(code), at);
            let error = match code {
                ErrorCode::SlowDown => OAuthError::new(ErrorResponse::slow_down(5)),
                other => OAuthError::code(other),
            };
            let response = error.into_response();
            let (name, status) = (code.as_str(), response.status().as_u16());
            let wait = if response.headers().contains_key(header::RETRY_AFTER) { " yes" } else { "" };
            let start = format!("| [`{name}`](#{name}) | {status} |{wait} |");
            assert!(rows[at].starts_with(&start), "docs/reference/errors.md must begin the row: {start}");
            assert!(
                PAGE.contains(&format!("\n## `{name}`\n")),
                "docs/reference/errors.md must explain {name}"
            );
        }
    }

    #[test]
    fn the_page_of_errors_has_the_words_that_developers_see() {
        let wait = RETRY_AFTER;
        let said: [OAuthError; 12] = [
            AuthError::Missing.into(),
            AuthError::Several.into(),
            AuthError::Failed.into(),
            AuthError::Throttled(wait).into(),
            StartError::InvalidScope.into(),
            StartError::UnauthorizedClient.into(),
            StartError::ForeignNetwork.into(),
            StartError::TooMany(wait).into(),
            RefreshRefusal::UnauthorizedClient.into(),
            RefreshRefusal::TooMany(wait).into(),
            RevokeRefusal::TooMany(wait).into(),
            ProofError::UseNonce(String::new()).into(),
        ];
        for OAuthError { status, body, .. } in said {
            let words = body.error_description.expect("each of these has words");
            let limit = if status == StatusCode::TOO_MANY_REQUESTS { ", 429" } else { "" };
            let line = format!("| `{words}` | `{}`{limit} |", body.error.as_str());
            assert!(PAGE.lines().any(|there| there == line), "docs/reference/errors.md must say: {line}");
        }
    }
}
