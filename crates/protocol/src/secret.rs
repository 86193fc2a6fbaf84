//! Every code, token and key is a type of its own that does not print.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

macro_rules! secret {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the value in; from here on it prints as its type's name only.
            pub fn new(value: impl Into<String>) -> Self {
                Self(Zeroizing::new(value.into()))
            }

            /// The value itself, for the wire and for cryptography. Never for a log.
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// Compares in constant time (in the length of the shorter value).
            pub fn matches(&self, other: &str) -> bool {
                aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.as_bytes()).is_ok()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        /// For messages on the wire and payloads that are sealed before they are stored.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    )*};
}

secret! {
    /// The device's long code (RFC 8628 section 3.2, `device_code`). Only its hash is ever stored.
    DeviceCode;
    /// The person's short code (RFC 8628 section 3.2, `user_code`), in its canonical form. Only its MAC is stored.
    UserCode;
    /// A client's secret (RFC 6749 section 2.3.1).
    ClientSecret;
    /// An access token (RFC 6749 section 1.4).
    AccessToken;
    /// A refresh token (RFC 6749 section 1.5).
    RefreshToken;
    /// An ID token in its compact form (OpenID Connect Core section 2).
    IdToken;
    /// The user pool's authorization code (RFC 6749 section 1.3.1).
    AuthorizationCode;
    /// The `code_verifier` of RFC 7636 section 4.1.
    PkceVerifier;
    /// The `state` of an authorization request (RFC 6749 section 4.1.1).
    State;
    /// The `nonce` of an authentication request (OpenID Connect Core section 3.1.2.1).
    Nonce;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_only_its_type() {
        assert_eq!(format!("{:?}", DeviceCode::new("hunter2")), "DeviceCode(…)");
    }

    #[test]
    fn secrets_compare_by_their_bytes() {
        assert!(ClientSecret::new("a").matches("a"));
        assert!(!ClientSecret::new("a").matches("A"));
        assert!(!ClientSecret::new("a").matches("aa"));
    }
}
