//! Wire types of the device authorization grant: RFC 8628, RFC 6749, RFC 7009 and RFC 8414.
//!
//! No I/O and no clock: what arrives is parsed once, here, into types that cannot be wrong later.

mod basic;
mod error;
mod form;
mod ids;
mod messages;
mod metadata;
mod scope;
mod secret;

pub use basic::{BasicCredentials, BrokenCredentials};
pub use error::{ErrorCode, ErrorResponse};
pub use form::{FormError, Params};
pub use ids::{ClientId, InvalidClientId};
pub use messages::{
    CLIENT_ASSERTION_TYPE_JWT_BEARER, DeviceAuthorizationResponse, GRANT_TYPE_DEVICE_CODE,
    GRANT_TYPE_REFRESH_TOKEN, TOKEN_TYPE_DEVICE_CODE, TokenResponse, token_type,
};
pub use metadata::{AuthMethod, ServerMetadata};
pub use scope::{InvalidScope, Scope};
pub use secret::{
    AccessToken, AuthorizationCode, ClientSecret, DeviceCode, IdToken, Nonce, PkceVerifier, RefreshToken,
    State, UserCode,
};
