//! The pool's signing keys (RFC 7517): kept, refreshed, and looked for again when a token names an unknown one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use device_grant_domain::Timestamp;
use device_grant_domain::pool::PoolProblem;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::config::SigningAlgorithm;
use crate::http::Http;

/// More keys than any pool has in use; a longer list is cut, so that a token without a `kid` cannot cost much.
const MOST_KEYS: usize = 64;

/// A key that ID tokens may be signed with.
pub(crate) struct PoolKey {
    kid: Option<String>,
    /// The one algorithm it is for, where the pool says so.
    alg: Option<SigningAlgorithm>,
    shape: Shape,
    pub(crate) key: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl PoolKey {
    /// The key in a JWK, if it is a public key for signatures of a kind known here. An entry that is something else
    /// is no fault of the set (RFC 7517 section 5).
    fn read(entry: Value) -> Option<Self> {
        // A key for an algorithm that is not known here is for none of ours.
        let alg = match entry.get("alg") {
            None | Some(Value::Null) => None,
            Some(name) => Some(name.as_str()?.parse().ok()?),
        };
        let jwk: Jwk = serde_json::from_value(entry).ok()?;
        let for_signatures = match (&jwk.common.public_key_use, &jwk.common.key_operations) {
            (Some(used), _) => *used == PublicKeyUse::Signature,
            (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
            (None, None) => true,
        };
        let shape = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Shape::Rsa,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Shape::P256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Shape::P384,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Shape::Ed25519,
            _ => return None,
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let kid = jwk.common.key_id;
        for_signatures.then_some(Self { kid, alg, shape, key })
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

/// The keys of one JWKS.
pub(crate) struct KeySet(Vec<PoolKey>);

impl KeySet {
    /// The usable keys in a JWKS; `None` if it has none.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(body).ok()?;
        let keys: Vec<_> = document.keys.into_iter().filter_map(PoolKey::read).take(MOST_KEYS).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The keys that a token with this header may be signed with. A token that names none may be signed with any that
    /// fits.
    pub(crate) fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: SigningAlgorithm,
    ) -> impl Iterator<Item = &'a PoolKey> {
        let named = move |key: &&PoolKey| kid.is_none() || key.kid.as_deref() == kid;
        self.0.iter().filter(named).filter(move |key| key.fits(algorithm))
    }
}

/// The newest keys that could be had.
pub(crate) struct KeyStore {
    current: ArcSwapOption<KeySet>,
    /// Held while keys are looked for.
    search: Mutex<Search>,
}

/// The last look for keys.
#[derive(Default)]
struct Search {
    cool_until: Timestamp,
    problem: Option<PoolProblem>,
}

impl KeyStore {
    pub(crate) fn new() -> Self {
        Self { current: ArcSwapOption::empty(), search: Mutex::default() }
    }

    pub(crate) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Fetches the keys. Those that are known stay if it fails (UP-03).
    pub(crate) async fn load(
        &self,
        http: &Http,
        jwks_uri: &Url,
        within: Duration,
    ) -> Result<(), PoolProblem> {
        let problem = |what: &dyn std::fmt::Display| {
            PoolProblem(format!("the pool's keys cannot be had from {jwks_uri}: {what}"))
        };
        let answer = http.get(jwks_uri, within).await.map_err(|error| problem(&error))?;
        if !answer.status.is_success() {
            return Err(problem(&format_args!("it answers {}", answer.status.as_u16())));
        }
        let keys = KeySet::read(&answer.body);
        let keys = keys.ok_or_else(|| problem(&"it has no key set with a usable signing key"))?;
        self.current.store(Some(Arc::new(keys)));
        Ok(())
    }

    /// Looks for keys newer than `seen`, in which a token's key was not found. Whoever comes while somebody looks gets
    /// what is found; whoever comes in the cool-down after it gets `None`, or the problem that it ended with.
    pub(crate) async fn newer_than(
        &self,
        seen: Option<&Arc<KeySet>>,
        (now, cool_down): (Timestamp, Duration),
        load: impl AsyncFnOnce(&Self) -> Result<(), PoolProblem>,
    ) -> Result<Option<Arc<KeySet>>, PoolProblem> {
        let mut search = self.search.lock().await;
        let current = self.current();
        let is_newer = match (&current, seen) {
            (Some(current), Some(seen)) => !Arc::ptr_eq(current, seen),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_newer {
            return Ok(current);
        }
        if now < search.cool_until {
            return search.problem.clone().map_or(Ok(None), Err);
        }
        // Also after a failure, and after a look that its caller gave up: a pool that is away is not helped by more
        // requests.
        search.cool_until = now + cool_down;
        search.problem = Some(PoolProblem("the last look for the pool's keys was broken off".to_owned()));
        search.problem = load(self).await.err();
        if let Some(problem) = &search.problem {
            return Err(problem.clone());
        }
        Ok(self.current())
    }
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

    fn set() -> Arc<KeySet> {
        Arc::new(KeySet::read(json!({ "keys": [ec(&json!({}))] }).to_string().as_bytes()).unwrap())
    }

    /// UP-03: many who miss the same key cause one look, and all of them get what it found.
    #[tokio::test]
    async fn those_who_wait_for_a_look_share_it() {
        let store = KeyStore::new();
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let look = || {
            store.newer_than(
                None,
                (Timestamp::from_secs(100), Duration::from_secs(10)),
                async |store: &KeyStore| {
                    looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    store.current.store(Some(set()));
                    Ok(())
                },
            )
        };
        let (a, b, c) = tokio::join!(look(), look(), look());
        assert!([a, b, c].into_iter().all(|found| found.unwrap().is_some()));
        assert_eq!(looks.into_inner(), 1);
    }
}
