//! Nonces for proofs (RFC 9449 section 8): a sealed time, so that they are unpredictable, good on every replica, and
//! stored nowhere.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};

use crate::keyring::{Keyring, Purpose};
use crate::time::Timestamp;

/// How long a nonce is good. A device that polls is handed the next one after half of it.
const LIFE: Duration = Duration::from_mins(5);
const LABEL: &str = "dpop-nonce";

/// A nonce of ours that is still good.
pub(super) struct Nonce {
    pub(super) ends_at: Timestamp,
    pub(super) is_ageing: bool,
}

/// A new nonce.
pub(super) fn make(keyring: &Keyring, now: Timestamp) -> String {
    let sealed = keyring.seal(Purpose::Request, LABEL, b"", &now.as_millis().to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(sealed)
}

/// The nonce in `text`, if one of the replicas made it and it is still good. A clock that is a little ahead made a young
/// one.
pub(super) fn open(keyring: &Keyring, text: &str, now: Timestamp) -> Option<Nonce> {
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let made_at = keyring.open(Purpose::Request, LABEL, b"", &sealed).ok()?;
    let made_at = Timestamp::from_millis(u64::from_be_bytes(made_at.try_into().ok()?));
    let ends_at = made_at + LIFE;
    (now < ends_at).then_some(Nonce { ends_at, is_ageing: now.since(made_at) >= LIFE / 2 })
}
