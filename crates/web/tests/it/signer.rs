//! Devices' keys, and what they sign: honest tokens and any forgery.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

pub enum Signer {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
    Ps256(RsaKeyPair),
}

impl Signer {
    pub fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// One key for each algorithm that is allowed by default.
    pub fn of_each_kind() -> Vec<Self> {
        let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        vec![
            Self::es256(),
            Self::Es384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            Self::EdDsa(Ed25519KeyPair::generate().unwrap()),
            Self::Rs256(rsa()),
            Self::Ps256(rsa()),
        ]
    }

    pub fn alg(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Es384(_) => "ES384",
            Self::EdDsa(_) => "EdDSA",
            Self::Rs256(_) => "RS256",
            Self::Ps256(_) => "PS256",
        }
    }

    /// For EC the uncompressed point, for RSA the DER `RSAPublicKey`.
    pub fn public_key(&self) -> &[u8] {
        match self {
            Self::Es256(pair) | Self::Es384(pair) => pair.public_key().as_ref(),
            Self::EdDsa(pair) => pair.public_key().as_ref(),
            Self::Rs256(pair) | Self::Ps256(pair) => pair.public_key().as_ref(),
        }
    }

    /// The public key, bare.
    pub fn jwk(&self) -> Value {
        let public = self.public_key();
        match self {
            Self::Es256(_) | Self::Es384(_) => {
                let (x, y) = public[1..].split_at(public.len() / 2);
                let curve = if self.alg() == "ES256" { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Self::EdDsa(_) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(public) }),
            // A 2048-bit RSAPublicKey: SEQUENCE and INTEGER headers and a sign byte, the modulus, then 65537.
            Self::Rs256(_) | Self::Ps256(_) => {
                json!({ "kty": "RSA", "n": encode(&public[9..265]), "e": "AQAB" })
            }
        }
    }

    /// The public key under a name.
    pub fn named(&self, kid: &str) -> Value {
        with(self.jwk(), &json!({ "kid": kid }))
    }

    /// A compact JWS with exactly these parts.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let random = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, scheme: &'static dyn RsaEncoding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(scheme, &random, message.as_bytes(), &mut signature).unwrap();
            signature
        };
        let signature = match self {
            Self::Es256(pair) | Self::Es384(pair) => {
                pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec()
            }
            Self::EdDsa(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Self::Rs256(pair) => rsa(pair, &RSA_PKCS1_SHA256),
            Self::Ps256(pair) => rsa(pair, &RSA_PSS_SHA256),
        };
        format!("{message}.{}", encode(&signature))
    }
}

/// Header and claims as they are signed.
pub fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

pub fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// `object` with `change` over it; `null` takes a member away.
pub fn with(mut object: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}
