//! Names of things in the store. None of them is a secret, and none leads back to one.

use std::fmt;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_protocol::{ClientId, DeviceCode, UserCode};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::entropy::{Entropy, bytes};
use crate::keyring::Keyring;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as it is stored.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id as it was stored.
            pub fn from_stored(value: impl Into<String>) -> Self {
                Self(value.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

id! {
    /// A request: a hash of its device code.
    RequestId;
    /// A user code's place in the store: its MAC under one key of the keyring.
    UserCodeKey;
    /// One trip of a browser to the user pool.
    AttemptId;
    /// One write, so that an uncertain one is recognised as our own (ST-09).
    OpId;
    /// A public key: the SHA-256 of its JWK (RFC 7638).
    KeyThumbprint;
    /// Something that is good once: a sign-in trip, a client assertion, a DPoP proof.
    OnceKey;
    /// A counter of guesses (of whom, and in which window), or of the people who looked at a request.
    CounterKey;
}

/// SHA-256 of `text`, kept apart from every other use of it by `label`.
pub(crate) fn labelled_hash(label: &str, text: &str) -> Digest {
    digest(&SHA256, format!("{label}\0{text}").as_bytes())
}

impl RequestId {
    /// The id of the request that `device_code` started.
    pub fn of(device_code: &DeviceCode) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(labelled_hash("device-grant/request/1", device_code.expose())))
    }
}

impl UserCodeKey {
    /// Where `user_code`, in its canonical form, may lie: one place for each live request key, the active one's first.
    pub fn all(user_code: &UserCode, keyring: &Keyring) -> Vec<Self> {
        let macs = keyring.macs("user_code", user_code.expose().as_bytes());
        macs.into_iter().map(|mac| Self(BASE64_URL_SAFE_NO_PAD.encode(mac))).collect()
    }
}

impl OnceKey {
    /// A sign-in trip (CB-01).
    pub fn attempt(attempt: &AttemptId) -> Self {
        Self(format!("A#{attempt}"))
    }

    /// The assertion that `client` named `jti` (RFC 7523 section 3). A hash: the name may be long, and is anything.
    pub fn assertion(client: &ClientId, jti: &str) -> Self {
        Self::seen("device-grant/assertion/1", &[client.as_str(), jti])
    }

    /// The proof that the holder of `key` named `jti`, at `url` (RFC 9449 section 11.1). Of this key: nobody else can use
    /// its names up.
    pub fn proof(url: &Url, key: &KeyThumbprint, jti: &str) -> Self {
        Self::seen("device-grant/proof/1", &[url.as_str(), key.as_str(), jti])
    }

    fn seen(kind: &str, names: &[&str]) -> Self {
        let mut labelled = kind.as_bytes().to_vec();
        for name in names {
            // Each with its length before it, so that no two lists of names look alike.
            labelled.extend((name.len() as u64).to_be_bytes());
            labelled.extend(name.as_bytes());
        }
        Self(format!("J#{}", BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &labelled))))
    }
}

impl OpId {
    /// A new write's id: 96 random bits.
    pub fn fresh(entropy: &dyn Entropy) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(bytes::<12>(entropy)))
    }
}

impl CounterKey {
    /// The counter of `who` (an account, a network), hashed under the keyring so that the store names nobody, in the
    /// window number `window`.
    pub fn guesses(kind: &str, who: &str, window: u64, keyring: &Keyring) -> Self {
        let mac = keyring.macs("guesses", format!("{kind}\0{who}").as_bytes())[0];
        Self(format!("{kind}#{}#{window}", BASE64_URL_SAFE_NO_PAD.encode(&mac[..16])))
    }

    /// The count of `kind` over all replicas in the window number `window`.
    pub(crate) fn tally(kind: &str, window: u64) -> Self {
        Self(format!("all#{kind}#{window}"))
    }

    /// The counter of those who looked at `request`.
    pub fn viewers(request: &RequestId, keyring: &Keyring) -> Self {
        let mac = keyring.macs("viewers", request.as_str().as_bytes())[0];
        Self(format!("viewers#{}", BASE64_URL_SAFE_NO_PAD.encode(&mac[..16])))
    }
}
