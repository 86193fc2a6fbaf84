use serde::{Deserialize, Serialize};

/// How a client proves itself (RFC 8414 section 2, the registry of RFC 7591).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Secret in the `Authorization` header.
    ClientSecretBasic,
    /// Secret in the body.
    ClientSecretPost,
    /// A JWT that the client signs (RFC 7523).
    PrivateKeyJwt,
    /// A public client: it only names itself.
    None,
}

impl AuthMethod {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }
}

/// Authorization server metadata (RFC 8414 section 2, RFC 8628 section 4).
///
/// `response_types_supported` is absent: RFC 8414 asks for it and forbids empty lists, and this server has no
/// authorization endpoint, so no true value exists (MD-05).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// Our public URL, exactly as configured.
    pub issuer: String,
    /// Starts and polls.
    pub token_endpoint: String,
    /// Starts, in the standard's way.
    pub device_authorization_endpoint: String,
    /// Never left out: its default would promise grants that do not exist here.
    pub grant_types_supported: Vec<String>,
    /// Never left out: its default is Basic alone.
    pub token_endpoint_auth_methods_supported: Vec<AuthMethod>,
    /// Present when `private_key_jwt` is among the methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// Present when the pool can revoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// Present with `revocation_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_methods_supported: Option<Vec<AuthMethod>>,
    /// Present with `revocation_endpoint` when `private_key_jwt` is among its methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// What DPoP proofs may be signed with; present when some client uses them (RFC 9449 section 5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// Every scope that some client may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
}
