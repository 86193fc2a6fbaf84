//! Public keys, one or a set of them (RFC 7517).

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse, ThumbprintHash,
};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::SigningAlgorithm;
use crate::ids::KeyThumbprint;

/// More keys than anybody has in use; a longer list is cut, so that a token without a `kid` cannot cost much.
const MOST_KEYS: usize = 64;
/// RFC 7518 section 3.3: shorter RSA keys must not be used.
const LEAST_RSA_BITS: usize = 2048;
/// Members of a JWK that are nobody else's business (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key that signatures can be checked with.
pub struct PublicKey {
    kid: Option<String>,
    /// The one algorithm it is for, where its owner says so.
    alg: Option<SigningAlgorithm>,
    shape: Shape,
    key: DecodingKey,
    thumbprint: KeyThumbprint,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl PublicKey {
    /// The key in a JWK, if it is a public key for signatures of a kind known here, and strong enough (CA-14).
    pub fn read(jwk: &Value) -> Option<Self> {
        // A key for an algorithm that is not known here is for none of ours.
        let alg = match jwk.get("alg") {
            None | Some(Value::Null) => None,
            Some(name) => Some(name.as_str()?.parse().ok()?),
        };
        let jwk = Jwk::deserialize(jwk).ok()?;
        let for_signatures = match (&jwk.common.public_key_use, &jwk.common.key_operations) {
            (Some(used), _) => *used == PublicKeyUse::Signature,
            (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
            (None, None) => true,
        };
        let shape = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) if rsa_bits(&key.n)? >= LEAST_RSA_BITS => Shape::Rsa,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Shape::P256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Shape::P384,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Shape::Ed25519,
            _ => return None,
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let thumbprint = KeyThumbprint::from_stored(jwk.thumbprint(ThumbprintHash::SHA256).ok()?);
        let kid = jwk.common.key_id;
        for_signatures.then_some(Self { kid, alg, shape, key, thumbprint })
    }

    /// SHA-256 over the members that make the key (RFC 7638 section 3): its name everywhere.
    pub fn thumbprint(&self) -> &KeyThumbprint {
        &self.thumbprint
    }

    pub(super) fn verifies(&self, (message, signature): (&str, &str), algorithm: SigningAlgorithm) -> bool {
        let verify = jsonwebtoken::crypto::verify;
        self.fits(algorithm)
            && verify(signature, message.as_bytes(), &self.key, algorithm.as_jwt()).unwrap_or(false)
    }

    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        use SigningAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let shape = match algorithm {
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => Shape::Rsa,
            Es256 => Shape::P256,
            Es384 => Shape::P384,
            EdDsa => Shape::Ed25519,
        };
        self.shape == shape && self.alg.is_none_or(|own| own == algorithm)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.thumbprint)
    }
}

/// Whether a JWK shows what its owner should have kept to itself.
pub fn is_private(jwk: &Value) -> bool {
    PRIVATE_MEMBERS.iter().any(|member| jwk.get(member).is_some())
}

/// The keys of one JWKS.
#[derive(Debug)]
pub struct KeySet(Vec<PublicKey>);

impl KeySet {
    /// The usable keys in a JWKS; `None` if it has none. An entry that is something else is no fault of the set
    /// (RFC 7517 section 5).
    pub fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(body).ok()?;
        let keys: Vec<_> = document.keys.iter().filter_map(PublicKey::read).take(MOST_KEYS).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The keys that a token with this header may be signed with. A token that names none may be signed with any that
    /// fits.
    pub(super) fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: SigningAlgorithm,
    ) -> impl Iterator<Item = &'a PublicKey> {
        let named = move |key: &&PublicKey| kid.is_none() || key.kid.as_deref() == kid;
        self.0.iter().filter(named).filter(move |key| key.fits(algorithm))
    }
}

fn rsa_bits(modulus: &str) -> Option<usize> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(modulus).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some((bytes.len() - first) * 8 - bytes[first].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ec(change: &Value) -> Value {
        // The key of RFC 7517 appendix A.1.
        let mut key = json!({
            "kty": "EC", "crv": "P-256", "kid": "a",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn found(keys: &Value, kid: Option<&str>, algorithm: SigningAlgorithm) -> usize {
        let set = KeySet::read(json!({ "keys": keys }).to_string().as_bytes());
        set.map_or(0, |set| set.candidates(kid, algorithm).count())
    }

    /// IT-06: a key for encryption, or one for another operation, verifies nothing.
    #[test]
    fn encryption_keys_are_not_used() {
        for (change, count) in [
            (json!({}), 1),
            (json!({ "use": "sig" }), 1),
            (json!({ "key_ops": ["verify"] }), 1),
            (json!({ "use": "enc" }), 0),
            (json!({ "use": "sigh" }), 0),
            (json!({ "key_ops": ["encrypt"] }), 0),
        ] {
            assert_eq!(found(&json!([ec(&change)]), Some("a"), SigningAlgorithm::Es256), count, "{change}");
        }
    }

    /// IT-05: the kind of the key must fit the algorithm, and so must the algorithm it is for.
    #[test]
    fn a_key_serves_only_what_it_fits() {
        let plain = json!([ec(&json!({}))]);
        for algorithm in SigningAlgorithm::ALL {
            let fits = usize::from(algorithm == SigningAlgorithm::Es256);
            assert_eq!(found(&plain, Some("a"), algorithm), fits, "{algorithm}");
        }
        for alg in ["RS256", "ES384", "ECDH-ES", "HS256", "none"] {
            assert_eq!(
                found(&json!([ec(&json!({ "alg": alg }))]), Some("a"), SigningAlgorithm::Es256),
                0,
                "{alg}"
            );
        }
    }

    /// IT-06: a `kid` that is named must be the key's; without one any fitting key may be it.
    #[test]
    fn a_named_key_is_that_key() {
        let keys = json!([ec(&json!({})), ec(&json!({ "kid": "b" })), ec(&json!({ "kid": null }))]);
        assert_eq!(found(&keys, Some("b"), SigningAlgorithm::Es256), 1);
        assert_eq!(found(&keys, Some("c"), SigningAlgorithm::Es256), 0);
        assert_eq!(found(&keys, None, SigningAlgorithm::Es256), 3);
    }

    /// UP-07: entries of unknown kinds, symmetric keys and broken entries are passed over; a set of nothing else, or
    /// something that is no set, is not taken.
    #[test]
    fn unusable_entries_do_not_spoil_the_set() {
        let odd = json!([
            { "kty": "new" },
            { "kty": "oct", "k": "AAAA", "kid": "a" },
            { "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "a" },
            { "kty": "RSA", "n": "!!", "e": "AQAB", "kid": "a" },
            7,
        ]);
        let mut mixed = odd.as_array().unwrap().clone();
        mixed.push(ec(&json!({})));
        assert_eq!(found(&json!(mixed), Some("a"), SigningAlgorithm::Es256), 1);
        for body in [json!({ "keys": odd }), json!({ "keys": [] }), json!({ "keys": 1 }), json!([])] {
            assert!(KeySet::read(body.to_string().as_bytes()).is_none(), "{body}");
        }
    }

    /// CA-14: an RSA key below 2048 bits is no key, and a leading zero byte makes none longer.
    #[test]
    fn short_rsa_keys_are_not_used() {
        let rsa = |modulus: Vec<u8>| {
            let n = BASE64_URL_SAFE_NO_PAD.encode(modulus);
            PublicKey::read(&json!({ "kty": "RSA", "n": n, "e": "AQAB" })).is_some()
        };
        assert!(rsa(vec![0xff; 256]));
        assert!(!rsa([vec![0x7f], vec![0xff; 255]].concat()));
        assert!(!rsa([vec![0; 200], vec![0xff; 128]].concat()));
        assert!(!rsa(vec![0; 256]));
    }

    /// DP-10: the thumbprints of RFC 7638 section 3.1 and RFC 8037 appendix A.3.
    #[test]
    fn thumbprints_are_those_of_the_standards() {
        let rsa = json!({
            "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        });
        let ed = json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        for (jwk, thumbprint) in [
            (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (ed, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            assert_eq!(PublicKey::read(&jwk).unwrap().thumbprint().as_str(), thumbprint);
        }
    }
}
