use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The error codes that a device can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// RFC 6749 section 5.2: the request is malformed.
    InvalidRequest,
    /// RFC 6749 section 5.2: the client did not authenticate.
    InvalidClient,
    /// RFC 6749 section 5.2: the code or token is unknown, used, or another client's.
    InvalidGrant,
    /// RFC 6749 section 5.2: this client may not use this grant.
    UnauthorizedClient,
    /// RFC 6749 section 5.2: no such grant here.
    UnsupportedGrantType,
    /// RFC 6749 section 5.2: malformed, or more than the client may ask for.
    InvalidScope,
    /// RFC 8628 section 3.5: nothing is decided yet.
    AuthorizationPending,
    /// RFC 8628 section 3.5: nothing is decided yet, and the device asks too often.
    SlowDown,
    /// RFC 8628 section 3.5: the person said no.
    AccessDenied,
    /// RFC 8628 section 3.5: the codes have run out.
    ExpiredToken,
    /// RFC 9449 section 5: the proof of the device's key is not good.
    InvalidDpopProof,
    /// RFC 9449 section 8: come again, with the nonce in the `DPoP-Nonce` header.
    UseDpopNonce,
    /// RFC 7009 section 2.2.1: such tokens cannot be revoked here.
    UnsupportedTokenType,
    /// RFC 6749 section 4.1.2.1: come back later.
    TemporarilyUnavailable,
    /// RFC 6749 section 4.1.2.1: the fault is ours.
    ServerError,
}

impl ErrorCode {
    /// The code as it stands in an answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

/// The JSON body of an error (RFC 6749 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// What went wrong, for the program.
    pub error: ErrorCode,
    /// What went wrong, for the developer: ASCII without quotes and backslashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<Cow<'static, str>>,
    /// With `slow_down`: seconds to wait between polls from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
}

impl ErrorResponse {
    /// An error that needs no words.
    pub const fn new(error: ErrorCode) -> Self {
        Self { error, error_description: None, interval: None }
    }

    /// An error with a hint for the developer. Characters that RFC 6749 section 5.2 does not allow are left out.
    pub fn described(error: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        let description = if description.chars().all(allowed) {
            description
        } else {
            description.chars().filter(|c| allowed(*c)).collect()
        };
        Self { error, error_description: Some(description), interval: None }
    }

    /// `slow_down` with the pace that holds from now on, in seconds.
    pub const fn slow_down(interval: u64) -> Self {
        Self { error: ErrorCode::SlowDown, error_description: None, interval: Some(interval) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TP-15: a description is ASCII without quote and backslash.
    #[test]
    fn descriptions_keep_to_their_alphabet() {
        let error = ErrorResponse::described(ErrorCode::InvalidRequest, "no \"ümlaut\\\r\n here");
        assert_eq!(error.error_description.unwrap(), "no mlaut here");
    }

    /// TP-14: absent members are left out.
    #[test]
    fn absent_members_are_left_out() {
        let body = serde_json::to_string(&ErrorResponse::new(ErrorCode::AuthorizationPending)).unwrap();
        assert_eq!(body, r#"{"error":"authorization_pending"}"#);
        assert_eq!(
            serde_json::to_string(&ErrorResponse::slow_down(10)).unwrap(),
            r#"{"error":"slow_down","interval":10}"#
        );
    }
}
