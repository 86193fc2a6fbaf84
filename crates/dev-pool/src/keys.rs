//! Signing keys, and the JSON web signatures they make (RFC 7515, RFC 7517).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use device_grant_domain::Entropy;
use serde_json::{Map, Value, json};

use crate::config::SigningAlgorithm;
use crate::faults::SignatureFault;

/// The keys of a pool: those in the JWKS, newest first, and one that is never published.
pub(crate) struct KeyRing {
    published: Vec<SigningKey>,
    unpublished: SigningKey,
}

impl KeyRing {
    pub(crate) fn generate(algorithm: SigningAlgorithm, entropy: &dyn Entropy) -> Self {
        Self {
            published: vec![SigningKey::generate(algorithm, entropy)],
            unpublished: SigningKey::generate(algorithm, entropy),
        }
    }

    /// Signs with a new key from now on. The old ones stay published: their tokens still live.
    pub(crate) fn rotate(&mut self, algorithm: SigningAlgorithm, entropy: &dyn Entropy) {
        self.published.insert(0, SigningKey::generate(algorithm, entropy));
    }

    /// Publishes the current key only.
    pub(crate) fn withdraw_old(&mut self) {
        self.published.truncate(1);
    }

    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": self.published.iter().map(SigningKey::jwk).collect::<Vec<_>>() })
    }

    /// The JOSE header of an honest token.
    pub(crate) fn header(&self) -> Map<String, Value> {
        let current = self.current();
        Map::from_iter([
            ("alg".to_owned(), current.algorithm.name().into()),
            ("kid".to_owned(), current.kid.as_str().into()),
            ("typ".to_owned(), "JWT".into()),
        ])
    }

    /// A compact JWS over `claims`, with `header` as it is but for the `alg` that `fault` asks for.
    pub(crate) fn sign(
        &self,
        mut header: Map<String, Value>,
        claims: &Map<String, Value>,
        fault: Option<SignatureFault>,
    ) -> String {
        match fault {
            Some(SignatureFault::AlgNone) => header.insert("alg".to_owned(), "none".into()),
            Some(SignatureFault::Hs256WithPublicKey) => header.insert("alg".to_owned(), "HS256".into()),
            Some(SignatureFault::OtherKey) | None => None,
        };
        let input = format!("{}.{}", encode_json(&header), encode_json(claims));
        let signature = match fault {
            None => self.current().sign(input.as_bytes()),
            Some(SignatureFault::OtherKey) => self.unpublished.sign(input.as_bytes()),
            Some(SignatureFault::AlgNone) => Vec::new(),
            Some(SignatureFault::Hs256WithPublicKey) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.current().public_key());
                hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn current(&self) -> &SigningKey {
        // Generated with one key; rotation adds, and withdrawing leaves the first.
        &self.published[0]
    }
}

/// The `at_hash` of an access token (OpenID Connect Core §3.1.3.6).
pub(crate) fn at_hash(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let hash = match algorithm {
        SigningAlgorithm::Es384 => &digest::SHA384,
        SigningAlgorithm::Es256 | SigningAlgorithm::Rs256 => &digest::SHA256,
    };
    let full = digest::digest(hash, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&full.as_ref()[..full.as_ref().len() / 2])
}

/// SHA-256, in base64url without padding: also the S256 of RFC 7636 §4.2.
pub(crate) fn sha256_base64url(input: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, input))
}

/// 256 random bits, in base64url.
pub(crate) fn random_token(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(device_grant_domain::bytes::<32>(entropy))
}

struct SigningKey {
    kid: String,
    algorithm: SigningAlgorithm,
    private: PrivateKey,
}

enum PrivateKey {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// The key itself comes from the crypto library's own generator, only its name from `entropy`.
    fn generate(algorithm: SigningAlgorithm, entropy: &dyn Entropy) -> Self {
        // Generation fails only when the machine has neither memory nor randomness.
        let works = "a signing key can be generated";
        let private = match algorithm {
            SigningAlgorithm::Es256 => {
                PrivateKey::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect(works))
            }
            SigningAlgorithm::Es384 => {
                PrivateKey::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect(works))
            }
            SigningAlgorithm::Rs256 => PrivateKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect(works)),
        };
        let name = URL_SAFE_NO_PAD.encode(device_grant_domain::bytes::<8>(entropy));
        Self { kid: format!("dev-{name}"), algorithm, private }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        // Signing with a key of this very library, in the scheme it was made for, has no way to fail.
        match &self.private {
            PrivateKey::Ec(pair) => {
                pair.sign(&SystemRandom::new(), message).expect("an own key signs").as_ref().to_vec()
            }
            PrivateKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .expect("an own key signs");
                signature
            }
        }
    }

    /// For EC the uncompressed point, for RSA the DER `RSAPublicKey`.
    fn public_key(&self) -> &[u8] {
        match &self.private {
            PrivateKey::Ec(pair) => pair.public_key().as_ref(),
            PrivateKey::Rsa(pair) => pair.public_key().as_ref(),
        }
    }

    /// The public key as a JWK (RFC 7517, RFC 7518 §6).
    fn jwk(&self) -> Value {
        let public = self.public_key();
        let mut jwk = match self.algorithm {
            SigningAlgorithm::Rs256 => json!({
                "kty": "RSA",
                // A 2048-bit RSAPublicKey: SEQUENCE and INTEGER headers and a sign byte, the modulus, then 65537.
                "n": URL_SAFE_NO_PAD.encode(&public[9..265]),
                "e": "AQAB",
            }),
            SigningAlgorithm::Es256 | SigningAlgorithm::Es384 => {
                let (x, y) = public[1..].split_at((public.len() - 1) / 2);
                let curve = if self.algorithm == SigningAlgorithm::Es256 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
            }
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm.name().into();
        jwk["use"] = "sig".into();
        jwk
    }
}

fn encode_json(object: &Map<String, Value>) -> String {
    URL_SAFE_NO_PAD.encode(Value::Object(object.clone()).to_string())
}
