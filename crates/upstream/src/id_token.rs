//! ID tokens: read, verified and judged (OpenID Connect Core section 3.1.3.7, RFC 8725).
//!
//! Three types keep the steps apart: a [`Jws`] knows only what is needed to find a key, [`Signed`] has claims that the
//! pool did sign, and [`IdToken`] has claims that are meant for us, here and now.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::Timestamp;
use device_grant_domain::jws::{Claims, Jws, KeySet, NotSigned, Refused, Rules, SigningAlgorithm};
use device_grant_domain::policy::SignInDemand;
use device_grant_protocol::{AccessToken, AuthorizationCode, Nonce};
use serde_json::Value;

/// The most bytes an ID token may have. Those of pools that list every group of a person have some ten thousand.
const LONGEST: usize = 64 * 1024;

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

/// Reads the header. Keys come from the pool's key set alone (IT-06).
pub(crate) fn read<'a>(token: &'a str, allowed: &[SigningAlgorithm]) -> Result<Jws<'a>, Refused> {
    // `typ` need not be there; if it is, `JWT` is the one value for an ID token (RFC 7519 section 5.1, RFC 8725
    // section 3.11).
    Jws::read(token, &Rules { longest: LONGEST, types: &["jwt"], untyped: true, algorithms: allowed })
}

/// Claims that the pool signed, for whomever and whenever.
#[derive(Debug)]
pub(crate) struct Signed {
    claims: Claims,
    algorithm: SigningAlgorithm,
}

impl Signed {
    /// The claims of `token`, if a key of `keys` signed them.
    pub(crate) fn verify(token: &Jws<'_>, keys: &KeySet) -> Result<Self, NotSigned> {
        Ok(Self { claims: token.verify(keys)?, algorithm: token.algorithm() })
    }

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
        let (now, leeway) = (expected.now, expected.leeway);
        let (Some(exp), Some(iat)) = (self.claims.time("exp"), self.claims.time("iat")) else {
            return Err(Refused("its exp or iat is missing or no time"));
        };
        if now >= exp + leeway {
            return Err(Refused("it has expired by this machine's clock"));
        }
        if iat > now + leeway || iat > exp {
            return Err(Refused("its iat lies ahead of this machine's clock, or after its exp"));
        }
        if !self.claims.has_come("nbf", now + leeway) {
            return Err(Refused("its nbf lies ahead of this machine's clock"));
        }
        Ok(())
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
        if self.claims.get("events").is_some() {
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
pub(crate) struct IdToken(Claims);

impl IdToken {
    /// Claims that somebody else has judged.
    pub(crate) fn of(claims: Claims) -> Self {
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
        let signed_in = self.0.time("auth_time").ok_or("it has no auth_time")?;
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
        self.0.text(claim)
    }
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

#[cfg(test)]
mod tests;
