use serde::{Deserialize, Serialize};

use crate::scope::Scope;
use crate::secret::{AccessToken, DeviceCode, IdToken, RefreshToken, UserCode};

/// `grant_type` of a poll (RFC 8628 section 3.4).
pub const GRANT_TYPE_DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// `grant_type` of a refresh (RFC 6749 section 6).
pub const GRANT_TYPE_REFRESH_TOKEN: &str = "refresh_token";
/// `token_type_hint` of a device code that its device gives up: our own, beside those of RFC 7009 section 2.1.
pub const TOKEN_TYPE_DEVICE_CODE: &str = "device_code";

/// `client_assertion_type` of a JWT (RFC 7523 section 2.2).
pub const CLIENT_ASSERTION_TYPE_JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The answer to a start (RFC 8628 section 3.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceAuthorizationResponse {
    /// For the device alone.
    pub device_code: DeviceCode,
    /// For the person, as it is shown: grouped if so configured.
    pub user_code: UserCode,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same with the code filled in, for a QR code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// Seconds until both codes end.
    pub expires_in: u64,
    /// Seconds between polls; 5 where a server leaves it out.
    #[serde(default = "default_interval")]
    pub interval: u64,
}

fn default_interval() -> u64 {
    5
}

/// A token answer (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: AccessToken,
    /// How to use it; `Bearer` unless the pool said otherwise.
    #[serde(default = "token_type::bearer")]
    pub token_type: String,
    /// Seconds the access token still lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// For new access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<RefreshToken>,
    /// Who approved. To be checked against the user pool's issuer, not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<IdToken>,
    /// What was granted, where it differs from what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// Values of `token_type`.
pub mod token_type {
    /// `Bearer` (RFC 6750).
    pub const BEARER: &str = "Bearer";

    pub(crate) fn bearer() -> String {
        BEARER.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TP-14: absent values are left out, numbers are numbers.
    #[test]
    fn a_token_response_has_no_nulls() {
        let response = TokenResponse {
            access_token: AccessToken::new("a"),
            token_type: token_type::bearer(),
            expires_in: Some(60),
            refresh_token: None,
            id_token: None,
            scope: None,
        };
        let body = serde_json::to_string(&response).unwrap();
        assert_eq!(body, r#"{"access_token":"a","token_type":"Bearer","expires_in":60}"#);
    }
}
