use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

use crate::keyring::{Keyring, OpenError};
use crate::time::Timestamp;

const LABEL: &str = "client-secret";

/// What a client's secret is checked with. The secret itself is not needed.
#[derive(Clone, Copy)]
pub enum SecretHash {
    /// The SHA-256 of a secret that the configuration has.
    Plain([u8; 32]),
    /// The MAC of a secret that the store keeps: of no use without the keyring.
    Keyed {
        /// The durable key that it is made with.
        key: u8,
        /// The MAC.
        mac: [u8; 32],
    },
}

/// A second secret, good beside the first while devices change over (CA-15).
#[derive(Clone, Copy, Debug)]
pub struct OtherSecret {
    /// What it is checked with.
    pub hash: SecretHash,
    /// Until when it is good; `None`: until the configuration changes.
    pub until: Option<Timestamp>,
}

impl SecretHash {
    /// What no secret hashes to, as far as anybody knows: whoever has no secret is compared with this, so that an
    /// unknown client costs the same time as a wrong secret (CA-09).
    pub(super) const OF_NOBODY: Self = Self::Plain([0; 32]);

    /// The hash of a secret that the configuration has.
    pub fn of(secret: &str) -> Self {
        Self::Plain(sha256(secret))
    }

    /// The hash of `secret` for the store, under the active durable key.
    pub fn keyed(secret: &str, keyring: &Keyring) -> Self {
        let (key, mac) = keyring.durable_mac(LABEL, secret.as_bytes());
        Self::Keyed { key, mac }
    }

    /// Whether this is the hash of `secret`: in constant time, and with the same work for either kind.
    ///
    /// # Errors
    /// [`OpenError::UnknownKey`] where the keyring lacks the key: nobody can say.
    pub(super) fn is_of(&self, secret: &str, keyring: &Keyring) -> Result<bool, OpenError> {
        let plain = sha256(secret);
        let (expected, presented) = match self {
            Self::Plain(hash) => {
                keyring.durable_mac(LABEL, secret.as_bytes());
                (hash, plain)
            }
            Self::Keyed { key, mac } => (mac, keyring.durable_mac_under(*key, LABEL, secret.as_bytes())?),
        };
        Ok(verify_slices_are_equal(expected, &presented).is_ok())
    }

    /// A hash that an operator wrote down.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self::Plain(bytes)
    }
}

fn sha256(secret: &str) -> [u8; 32] {
    digest(&SHA256, secret.as_bytes()).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}
