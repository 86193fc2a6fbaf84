//! ID tokens: read, verified and judged (OpenID Connect Core section 3.1.3.7, RFC 8725).
//!
//! Three types keep the steps apart: [`Unverified`] knows only what is needed to find a key, [`Signed`] has claims that
//! the pool did sign, and [`IdToken`] has claims that are meant for us, here and now. The times are judged by the
//! [`Clock`](device_grant_domain::Clock) port, so the JWT library does the signatures and nothing else.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::Timestamp;
use device_grant_domain::policy::SignInDemand;
use device_grant_protocol::{AccessToken, AuthorizationCode, Nonce};
use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Map, Value};

use crate::config::SigningAlgorithm;
use crate::keys::KeySet;
use crate::strict_json;

/// The most bytes an ID token may have. Those of pools that list every group of a person have some ten thousand.
const LONGEST: usize = 64 * 1024;

/// Why an ID token is refused. The words are ours alone; nothing of the token is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its ID token is refused: {0}")]
pub(crate) struct Refused(pub(crate) &'static str);

/// What a token must agree with.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    /// The nonce of the trip. A refreshed ID token need not carry one (OpenID Connect Core section 12.2).
    pub(crate) nonce: Option<&'a Nonce>,
    /// The code that was exchanged for the token.
    pub(crate) code: Option<&'a AuthorizationCode>,
    pub(crate) access_token: &'a AccessToken,
    pub(crate) now: Timestamp,
    pub(crate) leeway: Duration,
}

/// A token in which nothing is to be believed yet.
pub(crate) struct Unverified<'a> {
    kid: Option<String>,
    algorithm: SigningAlgorithm,
    /// Header and claims as they were signed.
    message: &'a str,
    claims: &'a str,
    signature: &'a str,
}

/// How a signature check ended without claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSigned {
    /// No key in the set has this `kid` and fits the algorithm; or the token names none and no fitting key made it.
    UnknownKey,
    /// Refused, and newer keys would not change it.
    Refused(Refused),
}

impl<'a> Unverified<'a> {
    /// Reads the header. Members that carry or point to a key (`jwk`, `jku`, `x5u`, `x5c`) are not looked at: keys come
    /// from the pool's key set alone (IT-06).
    pub(crate) fn read(token: &'a str, allowed: &[SigningAlgorithm]) -> Result<Self, Refused> {
        if token.len() > LONGEST {
            return Err(Refused("it is too long"));
        }
        let malformed = Refused("it is no signed JWT in compact form");
        let (message, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = message.split_once('.').ok_or(malformed)?;
        if claims.contains('.') {
            return Err(malformed);
        }
        let header = part(header).ok_or(malformed)?;
        if header.contains_key("crit") {
            return Err(Refused("its header has a crit member, and no extension is known here"));
        }
        if !has_type_of_an_id_token(&header) {
            return Err(Refused("its typ says that it is another kind of token"));
        }
        let name = header.get("alg").and_then(Value::as_str);
        let algorithm = name.and_then(|name| name.parse().ok());
        let algorithm = algorithm.filter(|algorithm| allowed.contains(algorithm));
        let algorithm = algorithm.ok_or(Refused("its signature algorithm is not allowed"))?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(malformed),
        };
        Ok(Self { kid, algorithm, message, claims, signature })
    }

    /// Checks the signature.
    pub(crate) fn verify(&self, keys: &KeySet) -> Result<Signed, NotSigned> {
        let mut candidates = keys.candidates(self.kid.as_deref(), self.algorithm).peekable();
        let known = candidates.peek().is_some() && self.kid.is_some();
        let algorithm = jwt(self.algorithm);
        let made_it = |key: &_| {
            crypto::verify(self.signature, self.message.as_bytes(), key, algorithm).unwrap_or(false)
        };
        if !candidates.any(|candidate| made_it(&candidate.key)) {
            return Err(if known {
                NotSigned::Refused(Refused("its signature is wrong"))
            } else {
                NotSigned::UnknownKey
            });
        }
        let claims =
            part(self.claims).ok_or(NotSigned::Refused(Refused("its claims are no plain JSON object")))?;
        Ok(Signed { claims, algorithm: self.algorithm })
    }
}

/// Claims that the pool signed, for whomever and whenever.
#[derive(Debug)]
pub(crate) struct Signed {
    claims: Map<String, Value>,
    algorithm: SigningAlgorithm,
}

impl Signed {
    /// Judges the claims.
    pub(crate) fn judge(self, expected: &Expected<'_>) -> Result<IdToken, Refused> {
        self.issuer_and_audience(expected)?;
        self.times(expected)?;
        self.purpose(expected)?;
        self.hashes(expected)?;
        let subject = self.claims.get("sub").and_then(Value::as_str);
        if subject.is_none_or(str::is_empty) {
            return Err(Refused("it has no sub"));
        }
        Ok(IdToken(self.claims))
    }

    fn issuer_and_audience(&self, expected: &Expected<'_>) -> Result<(), Refused> {
        if self.claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
            return Err(Refused("its iss is not the configured issuer, character for character"));
        }
        let is_us = |name: &Value| name.as_str() == Some(expected.client_id);
        let for_us = match self.claims.get("aud") {
            Some(Value::Array(names)) => !names.is_empty() && names.iter().all(is_us),
            Some(name) => is_us(name),
            None => false,
        };
        if !for_us {
            return Err(Refused("its aud is not the pool client's id alone"));
        }
        if self.claims.get("azp").is_some_and(|azp| !is_us(azp)) {
            return Err(Refused("its azp is not the pool client's id"));
        }
        Ok(())
    }

    fn times(&self, expected: &Expected<'_>) -> Result<(), Refused> {
        let time = |name| self.claims.get(name).and_then(numeric_date);
        let (now, leeway) = (expected.now, expected.leeway);
        let (Some(exp), Some(iat)) = (time("exp"), time("iat")) else {
            return Err(Refused("its exp or iat is missing or no time"));
        };
        if now >= exp + leeway {
            return Err(Refused("it has expired by this machine's clock"));
        }
        if iat > now + leeway || iat > exp {
            return Err(Refused("its iat lies ahead of this machine's clock, or after its exp"));
        }
        match self.claims.get("nbf") {
            Some(nbf) if numeric_date(nbf).is_none_or(|nbf| nbf > now + leeway) => {
                Err(Refused("its nbf lies ahead of this machine's clock"))
            }
            _ => Ok(()),
        }
    }

    /// That the token was made for signing in, and on this trip.
    fn purpose(&self, expected: &Expected<'_>) -> Result<(), Refused> {
        let other_kind = Refused("it is another kind of token");
        // Cognito names the use of a token, and Keycloak its type, among the claims.
        if self.claims.get("token_use").is_some_and(|used| used != "id") {
            return Err(other_kind);
        }
        let keycloak_types = ["Bearer", "DPoP", "Refresh", "Offline", "Logout"];
        let typ = self.claims.get("typ").and_then(Value::as_str);
        if typ.is_some_and(|typ| keycloak_types.contains(&typ)) {
            return Err(other_kind);
        }
        // The mark of a logout token, and of every security event (RFC 8417).
        if self.claims.contains_key("events") {
            return Err(other_kind);
        }
        let Some(nonce) = expected.nonce else {
            return Ok(());
        };
        let carried = self.claims.get("nonce").and_then(Value::as_str);
        if !carried.is_some_and(|carried| nonce.matches(carried)) {
            return Err(Refused("its nonce is not the one of this sign-in"));
        }
        Ok(())
    }

    fn hashes(&self, expected: &Expected<'_>) -> Result<(), Refused> {
        let matches = |claim, value: &str| match self.claims.get(claim) {
            None => true,
            Some(carried) => carried.as_str() == Some(left_half(self.algorithm, value).as_str()),
        };
        if !matches("at_hash", expected.access_token.expose()) {
            return Err(Refused("its at_hash belongs to another access token"));
        }
        if expected.code.is_some_and(|code| !matches("c_hash", code.expose())) {
            return Err(Refused("its c_hash belongs to another code"));
        }
        Ok(())
    }
}

/// Claims that are signed, meant for us, and fresh.
#[derive(Debug)]
pub(crate) struct IdToken(Map<String, Value>);

impl IdToken {
    /// Claims that somebody else has judged.
    pub(crate) fn of(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Whether the sign-in was what `demand` wants (OpenID Connect Core section 3.1.3.7, items 12 and 13). A pool that says
    /// nothing of it has not done it.
    pub(crate) fn meets(&self, demand: &SignInDemand, expected: &Expected<'_>) -> Result<(), &'static str> {
        let acr = self.text("acr");
        let is_asked_for = |acr: &str| demand.acr_values.iter().any(|asked| asked == acr);
        if !demand.acr_values.is_empty() && !acr.is_some_and(is_asked_for) {
            return Err("its acr is none of those that were asked for");
        }
        let Some(since) = demand.since else {
            return Ok(());
        };
        let signed_in = self.0.get("auth_time").and_then(numeric_date).ok_or("it has no auth_time")?;
        if signed_in + expected.leeway < since {
            return Err("its auth_time lies too far back");
        }
        if signed_in > expected.now + expected.leeway {
            return Err("its auth_time lies ahead of this machine's clock");
        }
        Ok(())
    }

    /// The value of a claim that is a string with something in it.
    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        let value = self.0.get(claim).and_then(Value::as_str);
        value.filter(|value| !value.is_empty())
    }
}

/// `typ` need not be there; if it is, `JWT` is the one value for an ID token (RFC 7519 section 5.1, RFC 8725
/// section 3.11).
fn has_type_of_an_id_token(header: &Map<String, Value>) -> bool {
    match header.get("typ") {
        None => true,
        Some(typ) => typ.as_str().is_some_and(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").unwrap_or(&typ) == "jwt"
        }),
    }
}

fn part(encoded: &str) -> Option<Map<String, Value>> {
    strict_json::object(&BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?)
}

/// A `NumericDate` (RFC 7519 section 2): seconds since the epoch, a fraction is allowed and cut off.
pub(crate) fn numeric_date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_u64() {
        return Some(Timestamp::from_secs(seconds));
    }
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
    Some(Timestamp::default() + Duration::try_from_secs_f64(seconds.floor()).ok()?)
}

/// The left half of a hash, in base64url (OpenID Connect Core section 3.1.3.6). The hash is the one the signature
/// algorithm uses; for Ed25519 that is SHA-512.
fn left_half(algorithm: SigningAlgorithm, value: &str) -> String {
    use SigningAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    let hash = match algorithm {
        Rs256 | Ps256 | Es256 => &digest::SHA256,
        Rs384 | Ps384 | Es384 => &digest::SHA384,
        Rs512 | Ps512 | EdDsa => &digest::SHA512,
    };
    let whole = digest::digest(hash, value.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&whole.as_ref()[..hash.output_len() / 2])
}

fn jwt(algorithm: SigningAlgorithm) -> Algorithm {
    use SigningAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    match algorithm {
        Rs256 => Algorithm::RS256,
        Rs384 => Algorithm::RS384,
        Rs512 => Algorithm::RS512,
        Ps256 => Algorithm::PS256,
        Ps384 => Algorithm::PS384,
        Ps512 => Algorithm::PS512,
        Es256 => Algorithm::ES256,
        Es384 => Algorithm::ES384,
        EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests;
