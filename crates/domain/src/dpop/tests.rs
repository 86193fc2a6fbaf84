use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::entropy::Entropy;
use crate::keyring::Keyring;

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

struct Same(u8);

impl Entropy for Same {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn claims(change: &Value) -> Claims {
    let Value::Object(mut claims) = json!({
        "jti": "1", "htm": "POST", "htu": "https://login.example.com/token", "iat": 1,
    }) else {
        unreachable!("it was written as an object")
    };
    for (name, value) in change.as_object().unwrap() {
        claims.insert(name.clone(), value.clone());
    }
    claims.into()
}

/// DP-05: the public URL of the endpoint as any spelling of it has it, and no other.
#[test]
fn a_proof_is_for_one_endpoint() {
    let url: Url = "https://login.example.com/token".parse().unwrap();
    for (htu, good) in [
        ("https://login.example.com/token", true),
        ("https://LOGIN.Example.com:443/token", true),
        ("HTTPS://login.example.com/token?a=b#c", true),
        ("https://login.example.com/x/../token", true),
        ("http://login.example.com/token", false),
        ("http://10.0.0.7:8080/token", false),
        ("https://login.example.com:8443/token", false),
        ("https://login.example.com/token/", false),
        ("https://login.example.com/TOKEN", false),
        ("https://login.example.com/device_authorization", false),
        ("https://me@login.example.com/token", false),
        ("https://login.example.com.evil.example/token", false),
        ("/token", false),
        ("", false),
    ] {
        assert_eq!(for_this_request(&claims(&json!({ "htu": htu })), &url).is_ok(), good, "{htu}");
    }
    for change in
        [json!({ "htm": "GET" }), json!({ "htm": "post" }), json!({ "htu": ["x"] }), json!({ "jti": "" })]
    {
        assert!(for_this_request(&claims(&change), &url).is_err(), "{change}");
    }
}

/// DP-04: the key that the header shows made the signature, and shows no more than it should.
#[test]
fn a_proof_is_signed_by_the_key_it_shows() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) });
    let proof = |change: Value| {
        let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        for (name, value) in change.as_object().unwrap() {
            header[name] = value.clone();
        }
        let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(b"{}"));
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        signed(&format!("{message}.{}", encode(signature.as_ref())))
    };
    let (_, key) = proof(json!({})).unwrap();
    assert_eq!(&key, PublicKey::read(&jwk).unwrap().thumbprint());
    let mut private = jwk.clone();
    private["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    for change in [
        json!({ "typ": "JWT" }),
        json!({ "typ": "client-authentication+jwt" }),
        json!({ "typ": null }),
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "RS512" }),
        json!({ "jwk": null }),
        json!({ "jwk": private }),
        json!({ "jwk": { "kty": "oct", "k": "AAAA" } }),
        json!({ "jwk": { "kty": "EC", "crv": "P-256", "x": encode(y), "y": encode(x) } }),
        json!({ "crit": ["x"] }),
    ] {
        assert!(proof(change.clone()).is_err(), "{change}");
    }
}

/// DP-07: a nonce is good on whoever has the keys, for its life, and never the same twice.
#[test]
fn a_nonce_lives_for_a_while() {
    let keyring = |seed| Keyring::new(Keyring::fresh_material(&Same(seed))).unwrap();
    let (here, there, elsewhere) = (keyring(1), keyring(1), keyring(2));
    let made = nonce::make(&here, NOW);
    assert_ne!(made, nonce::make(&here, NOW));
    let at = |keyring: &Keyring, seconds| {
        let now = NOW + Duration::from_secs(seconds);
        nonce::open(keyring, &made, now).map(|nonce| nonce.is_ageing)
    };
    assert_eq!([at(&there, 0), at(&there, 149)], [Some(false); 2]);
    assert_eq!([at(&there, 150), at(&there, 299)], [Some(true); 2]);
    assert_eq!([at(&there, 300), at(&elsewhere, 0)], [None; 2]);
    let ahead = nonce::open(&there, &made, NOW - Duration::from_secs(2));
    assert_eq!(ahead.map(|nonce| nonce.is_ageing), Some(false), "from a clock that is a little ahead");
    assert!(nonce::open(&there, &encode(&NOW.as_millis().to_be_bytes()), NOW).is_none());
}

proptest! {
    /// DP-04, DP-07: whatever comes in the header or as a nonce, nothing panics.
    #[test]
    fn no_bytes_make_the_readers_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let keyring = Keyring::new(Keyring::fresh_material(&Same(3))).unwrap();
        let _ = signed(&text);
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{text:?}}}"#);
        let _ = signed(&format!("{}.{}.{}", encode(header.as_bytes()), encode(&bytes), encode(&bytes)));
        let _ = nonce::open(&keyring, &text, NOW);
        let _ = nonce::open(&keyring, &encode(&bytes), NOW);
        let url = "https://login.example.com/token".parse().unwrap();
        let _ = for_this_request(&claims(&json!({ "htu": text, "htm": "POST" })), &url);
    }
}
