//! Demonstrating proof of possession: a device shows that it holds its key (RFC 9449, and for the device grant
//! draft-parecki-oauth-dpop-device-flow).
//!
//! The first request ties a device code to the key; polls and, for public clients, refreshes go on by proofs of the same
//! key. The pool never sees a proof, so access tokens stay what the pool makes them: bearer tokens.

use std::time::Duration;

use url::Url;

use crate::client::{ClientAuth, DeviceClient};
use crate::ids::{KeyThumbprint, OnceKey};
use crate::jws::{Claims, Jws, PublicKey, Refused, Rules, SigningAlgorithm, is_private};
use crate::service::DeviceGrant;
use crate::store::Unavailable;
use crate::time::Timestamp;

mod nonce;

/// RFC 9449 section 4.2: the type says what it is for.
const RULES: Rules<'_> = Rules {
    longest: 8 * 1024,
    types: &["dpop+jwt"],
    untyped: false,
    algorithms: &SigningAlgorithm::OF_DEVICES,
};

/// Whether a client proves possession of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dpop {
    /// It does not; what it sends is not looked at.
    #[default]
    Off,
    /// Where it sends a proof at the start, it keeps to it.
    Optional,
    /// It always does (RFC 9449 section 5.2).
    Required,
}

/// What an operator decides.
#[derive(Clone, Copy, Debug)]
pub struct DpopSettings {
    /// Whether proofs must carry a nonce of ours (RFC 9449 section 8).
    pub nonce: bool,
    /// How old a proof may be.
    pub proof_life: Duration,
}

/// A proof that is good, but may have been seen before.
#[derive(Clone, Debug)]
pub struct Proof {
    key: KeyThumbprint,
    once: OnceKey,
    ends_at: Timestamp,
}

/// What a request proves.
#[derive(Debug, Default)]
pub struct Proven {
    /// Its proof, if it has one and its client uses them.
    pub proof: Option<Proof>,
    /// A nonce to go on with: the one that came has not long to live.
    pub fresh_nonce: Option<String>,
}

/// Why a proof is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// `invalid_dpop_proof`.
    #[error("the DPoP proof is refused: {0}")]
    Refused(#[from] Refused),
    /// `use_dpop_nonce`: with this one.
    #[error("the DPoP proof must carry the nonce that comes with this answer")]
    UseNonce(String),
}

impl Dpop {
    /// Whether anything about proofs is to be looked at.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }

    /// Refuses to go on without a proof where the client must bring one: there is no downgrade.
    pub(crate) fn demand(self, proof: Option<&Proof>) -> Result<(), ProofError> {
        if self == Self::Required && proof.is_none() {
            return Err(Refused("this client must send one").into());
        }
        Ok(())
    }
}

impl Proof {
    /// The key that the sender holds.
    pub(crate) fn key(&self) -> &KeyThumbprint {
        &self.key
    }

    /// The key that refresh tokens of `client` are bound to: a public client has nothing else to show; a confidential one
    /// proves itself, and may change keys (RFC 9449 section 5).
    pub(crate) fn binds(&self, client: &DeviceClient) -> Option<&KeyThumbprint> {
        matches!(client.auth, ClientAuth::None).then_some(&self.key)
    }
}

impl DeviceGrant {
    /// What `header`, the value of a `DPoP` header that came to `endpoint`, proves. Reads and writes nothing; the proof is
    /// spent by whatever rests on it. A client that does not use proofs costs nothing.
    pub fn prove(
        &self,
        client: &DeviceClient,
        header: Option<&[u8]>,
        endpoint: &str,
    ) -> Result<Proven, ProofError> {
        let Some(header) = header.filter(|_| client.dpop.is_on()) else {
            return Ok(Proven::default());
        };
        let text = str::from_utf8(header).map_err(|_| Refused("it is no text"))?;
        let (claims, key) = signed(text)?;
        let url = self.settings.at(endpoint);
        let jti = for_this_request(&claims, &url)?;
        let (ends_at, fresh_nonce) = self.end_of(&claims)?;
        let once = OnceKey::proof(&url, &key, jti);
        Ok(Proven { proof: Some(Proof { key, once, ends_at }), fresh_nonce })
    }

    /// Uses a proof up. Refused if it was used before, on whichever replica (RFC 9449 section 11.1).
    pub(crate) async fn spend_proof(
        &self,
        proof: Option<&Proof>,
    ) -> Result<Result<(), ProofError>, Unavailable> {
        let Some(proof) = proof else { return Ok(Ok(())) };
        let first = self.store.spend(&proof.once, proof.ends_at + self.settings.clock_skew).await?;
        Ok(if first { Ok(()) } else { Err(Refused("it was used before").into()) })
    }

    /// Until when a proof is good, and the nonce to go on with. Its age is that of its nonce where nonces are asked for,
    /// whatever time the device takes it to be (RFC 9449 section 4.3, check 11); else that of its `iat`.
    fn end_of(&self, claims: &Claims) -> Result<(Timestamp, Option<String>), ProofError> {
        let (now, leeway, dpop) = (self.now(), self.settings.leeway, self.settings.dpop);
        let iat = claims.time("iat").ok_or(Refused("its iat is missing or no time"))?;
        if dpop.nonce {
            let nonce = claims.text("nonce").and_then(|nonce| nonce::open(&self.keyring, nonce, now));
            let fresh = || nonce::make(&self.keyring, now);
            let nonce = nonce.ok_or_else(|| ProofError::UseNonce(fresh()))?;
            return Ok((nonce.ends_at, nonce.is_ageing.then(fresh)));
        }
        let ends_at = iat + dpop.proof_life + leeway;
        if iat > now + leeway {
            return Err(Refused("its iat lies ahead of this server's clock").into());
        }
        if now >= ends_at {
            return Err(Refused("it is too old by this server's clock").into());
        }
        Ok((ends_at, None))
    }
}

/// The claims, signed by the key in the header: which key that is, the header alone says (RFC 9449 section 4.2).
fn signed(text: &str) -> Result<(Claims, KeyThumbprint), Refused> {
    let jws = Jws::read(text, &RULES)?;
    let jwk = jws.header("jwk").ok_or(Refused("it has no jwk"))?;
    if is_private(jwk) {
        return Err(Refused("its jwk is a private key"));
    }
    let key = PublicKey::read(jwk).ok_or(Refused("its jwk is no key that is good here"))?;
    Ok((jws.verify_by(&key)?, key.thumbprint().clone()))
}

/// The `jti` of a proof that was made for a POST to `url` (RFC 9449 section 4.3, checks 3, 8 and 9).
fn for_this_request<'a>(claims: &'a Claims, url: &Url) -> Result<&'a str, Refused> {
    if claims.text("htm") != Some("POST") {
        return Err(Refused("its htm is not POST"));
    }
    let htu = claims.text("htu").and_then(|htu| Url::parse(htu).ok());
    let mut htu = htu.ok_or(Refused("its htu is missing or no URL"))?;
    htu.set_query(None);
    htu.set_fragment(None);
    if htu != *url {
        return Err(Refused("its htu is not the public URL of this endpoint"));
    }
    claims.text("jti").ok_or(Refused("it has no jti"))
}

#[cfg(test)]
mod tests;
