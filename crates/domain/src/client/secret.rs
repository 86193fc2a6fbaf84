use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// The SHA-256 of a client's secret. The secret itself is not needed to check one.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// What no secret hashes to, as far as anybody knows: whoever has no secret is compared with this, so that an
    /// unknown client costs the same time as a wrong secret (CA-09).
    pub(super) const OF_NOBODY: Self = Self([0; 32]);

    /// The hash of `secret`.
    pub fn of(secret: &str) -> Self {
        Self(digest(&SHA256, secret.as_bytes()).as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// A hash that an operator wrote down.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// In constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}
