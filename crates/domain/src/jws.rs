//! Signed JSON in compact form (RFC 7515), read strictly: ID tokens, client assertions, DPoP proofs (RFC 8725).
//!
//! Two types keep the steps apart: a [`Jws`] knows only what is needed to find a key, and [`Claims`] were signed by
//! that key. What the claims mean is judged by whoever asked for them; the times by the [`Clock`](crate::Clock) port, so
//! the JWT library does the signatures and nothing else.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Map, Value};

use crate::strict_json;
use crate::time::Timestamp;

mod algorithm;
mod keys;

pub use algorithm::{SigningAlgorithm, UnknownAlgorithm};
pub use keys::{KeySet, PublicKey, is_private};

/// What is taken at all.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The most bytes.
    pub longest: usize,
    /// What `typ` may say, in small letters and without `application/` (RFC 7515 section 4.1.9).
    pub types: &'a [&'a str],
    /// Whether `typ` may be left out.
    pub untyped: bool,
    /// What it may be signed with.
    pub algorithms: &'a [SigningAlgorithm],
}

/// Why one is refused. The words are ours alone; nothing of what came is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

/// How a signature check ended without claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSigned {
    /// No key in the set has this `kid` and fits the algorithm; or it names none and no fitting key made it.
    UnknownKey,
    /// Refused, and newer keys would not change it.
    Refused(Refused),
}

/// A text in which nothing is to be believed yet.
#[derive(Debug)]
pub struct Jws<'a> {
    header: Map<String, Value>,
    kid: Option<String>,
    algorithm: SigningAlgorithm,
    /// Header and claims as they were signed.
    message: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Jws<'a> {
    /// Reads the header. Members that point to a key (`jku`, `x5u`, `x5c`) are never looked at.
    pub fn read(text: &'a str, rules: &Rules<'_>) -> Result<Self, Refused> {
        if text.len() > rules.longest {
            return Err(Refused("it is too long"));
        }
        let malformed = Refused("it is no signed JWT in compact form");
        let (message, signature) = text.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = message.split_once('.').ok_or(malformed)?;
        if claims.contains('.') {
            return Err(malformed);
        }
        let header = part(header).ok_or(malformed)?;
        if header.contains_key("crit") {
            return Err(Refused("its header has a crit member, and no extension is known here"));
        }
        if !rules.allow_type(header.get("typ")) {
            return Err(Refused("its typ says that it is another kind of token"));
        }
        let name = header.get("alg").and_then(Value::as_str);
        let algorithm = name.and_then(|name| name.parse().ok());
        let algorithm = algorithm.filter(|algorithm| rules.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Refused("its signature algorithm is not allowed"))?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(malformed),
        };
        Ok(Self { header, kid, algorithm, message, claims, signature })
    }

    /// What it is signed with, as it says.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// A member of the header.
    pub fn header(&self, member: &str) -> Option<&Value> {
        self.header.get(member)
    }

    /// The claims that whoever wrote this puts in, signed by whomever: good for finding keys and nothing else.
    pub fn unverified(&self) -> Result<Claims, Refused> {
        part(self.claims).map(Claims).ok_or(Refused("its claims are no plain JSON object"))
    }

    /// The claims, if a key of `keys` signed them.
    pub fn verify(&self, keys: &KeySet) -> Result<Claims, NotSigned> {
        let mut candidates = keys.candidates(self.kid.as_deref(), self.algorithm).peekable();
        let known = candidates.peek().is_some() && self.kid.is_some();
        if candidates.any(|key| self.is_signed_by(key)) {
            return self.unverified().map_err(NotSigned::Refused);
        }
        Err(if known { NotSigned::Refused(WRONG_SIGNATURE) } else { NotSigned::UnknownKey })
    }

    /// The claims, if `key` signed them.
    pub fn verify_by(&self, key: &PublicKey) -> Result<Claims, Refused> {
        if self.is_signed_by(key) { self.unverified() } else { Err(WRONG_SIGNATURE) }
    }

    fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verifies((self.message, self.signature), self.algorithm)
    }
}

const WRONG_SIGNATURE: Refused = Refused("its signature is wrong");

impl Rules<'_> {
    fn allow_type(&self, typ: Option<&Value>) -> bool {
        let Some(typ) = typ else { return self.untyped };
        typ.as_str().is_some_and(|typ| {
            let typ = typ.to_ascii_lowercase();
            self.types.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
        })
    }
}

/// Claims of a token.
#[derive(Clone, Debug)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// The claim `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The claim `name`, if it is a string with something in it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str).filter(|value| !value.is_empty())
    }

    /// The claim `name`, if it is a `NumericDate` (RFC 7519 section 2): seconds since the epoch, a fraction is allowed
    /// and cut off.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        let value = self.get(name)?;
        if let Some(seconds) = value.as_u64() {
            return Some(Timestamp::from_secs(seconds));
        }
        let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
        Some(Timestamp::default() + Duration::try_from_secs_f64(seconds.floor()).ok()?)
    }

    /// Whether the moment in the claim `name` has come by `latest`; also if there is no such claim.
    pub fn has_come(&self, name: &str, latest: Timestamp) -> bool {
        self.get(name).is_none() || self.time(name).is_some_and(|time| time <= latest)
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(claims: Map<String, Value>) -> Self {
        Self(claims)
    }
}

fn part(encoded: &str) -> Option<Map<String, Value>> {
    strict_json::object(&BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules<'_> =
        Rules { longest: 1000, types: &["jwt"], untyped: true, algorithms: &SigningAlgorithm::ALL };

    fn read_whole(text: &str) {
        if let Ok(jws) = Jws::read(text, &RULES) {
            let _ = jws.unverified();
        }
    }

    proptest! {
        /// CA-10, DP-04: whatever comes, nothing panics.
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read_whole(&text);
            read_whole(&String::from_utf8_lossy(&bytes));
            let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
            read_whole(&format!("{}.{}.{}", encode(text.as_bytes()), encode(&bytes), encode(&bytes)));
            read_whole(&format!("{}.{}.", encode(br#"{"alg":"ES256"}"#), encode(&bytes)));
        }

        /// CA-14, DP-04: no JWK makes the reader of keys panic.
        #[test]
        fn no_jwk_makes_the_reader_panic(kty in "(RSA|EC|OKP|oct)", crv in "(P-256|P-384|Ed25519|x)", n in "[A-Za-z0-9_=-]{0,90}") {
            let jwk = serde_json::json!({ "kty": kty, "crv": crv, "x": n, "y": n, "n": n, "e": n, "k": n });
            let _ = PublicKey::read(&jwk);
        }
    }
}
