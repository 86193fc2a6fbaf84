use std::fmt;

use serde::{Deserialize, Serialize};

/// A `client_id` (RFC 6749 section 2.2): visible ASCII and spaces (`VSCHAR`, appendix A.1), compared byte for byte
/// (HI-12).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

/// Not a `client_id`: empty, longer than [`ClientId::MAX_LEN`], or with characters outside `VSCHAR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client_id is 1 to 256 printable ASCII characters")]
pub struct InvalidClientId;

impl ClientId {
    /// The most characters a `client_id` may have.
    pub const MAX_LEN: usize = 256;

    /// The value as it is written on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidClientId;

    fn try_from(value: String) -> Result<Self, InvalidClientId> {
        let fits = !value.is_empty() && value.len() <= Self::MAX_LEN;
        if fits && value.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
            Ok(Self(value))
        } else {
            Err(InvalidClientId)
        }
    }
}

impl std::str::FromStr for ClientId {
    type Err = InvalidClientId;

    fn from_str(value: &str) -> Result<Self, InvalidClientId> {
        Self::try_from(value.to_owned())
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
