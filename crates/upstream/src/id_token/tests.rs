use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use serde_json::json;

use super::*;

const NOW: u64 = 1_767_225_600;
const ISSUER: &str = "https://pool.example";
const ACCESS: &str = "access-token";
const CODE: &str = "the-code";

enum Pair {
    Ec(SigningAlgorithm, EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Pair {
    fn es256() -> Self {
        Self::Ec(SigningAlgorithm::Es256, EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn es384() -> Self {
        Self::Ec(SigningAlgorithm::Es384, EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    fn ed25519() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::Ec(algorithm, _) => *algorithm,
            Self::Ed(_) => SigningAlgorithm::EdDsa,
        }
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Ec(_, pair) => pair.public_key().as_ref(),
            Self::Ed(pair) => pair.public_key().as_ref(),
        }
    }

    fn sign(&self, message: &str) -> Vec<u8> {
        match self {
            Self::Ec(_, pair) => {
                pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
            }
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        }
    }

    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(algorithm, _) => {
                let point = &self.public()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if *algorithm == SigningAlgorithm::Es256 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y), "kid": "k" })
            }
            Self::Ed(_) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(self.public()), "kid": "k" }),
        }
    }

    fn keys(&self) -> KeySet {
        KeySet::read(json!({ "keys": [self.jwk()] }).to_string().as_bytes()).unwrap()
    }

    /// A token with exactly this header and these claims.
    fn token(&self, header: &str, claims: &str) -> String {
        let message =
            format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.sign(&message));
        format!("{message}.{signature}")
    }
}

fn header(algorithm: SigningAlgorithm) -> Value {
    json!({ "alg": algorithm.as_str(), "kid": "k", "typ": "JWT" })
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "tv", "sub": "alice", "exp": NOW + 300, "iat": NOW, "nonce": "n" })
}

/// `object` with `change` over it; `null` takes a member away.
fn changed(mut object: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

fn judged(token: &str, keys: &KeySet) -> Result<IdToken, NotSigned> {
    let token = read(token, &SigningAlgorithm::ALL).map_err(NotSigned::Refused)?;
    let signed = Signed::verify(&token, keys)?;
    expecting(|expected| signed.judge(expected)).map_err(NotSigned::Refused)
}

fn expecting<T>(judge: impl FnOnce(&Expected<'_>) -> T) -> T {
    judge(&Expected {
        issuer: ISSUER,
        client_id: "tv",
        nonce: Some(&Nonce::new("n")),
        code: Some(&AuthorizationCode::new(CODE)),
        access_token: &AccessToken::new(ACCESS),
        now: Timestamp::from_secs(NOW),
        leeway: Duration::from_mins(1),
    })
}

fn with_claims(change: &Value) -> Result<IdToken, NotSigned> {
    let pair = Pair::es256();
    let token =
        pair.token(&header(SigningAlgorithm::Es256).to_string(), &changed(claims(), change).to_string());
    judged(&token, &pair.keys())
}

fn with_header(change: &Value) -> Result<IdToken, NotSigned> {
    let pair = Pair::es256();
    let header = changed(header(SigningAlgorithm::Es256), change);
    judged(&pair.token(&header.to_string(), &claims().to_string()), &pair.keys())
}

#[track_caller]
fn accepted(outcome: Result<IdToken, NotSigned>) {
    assert_eq!(outcome.unwrap().text("sub"), Some("alice"));
}

#[track_caller]
fn refused(outcome: Result<IdToken, NotSigned>, word: &str) {
    match outcome {
        Err(NotSigned::Refused(Refused(reason))) => assert!(reason.contains(word), "{reason}"),
        other => panic!("{word}: {other:?}"),
    }
}

/// IT-01: issuer and audience exactly, no stranger in the audience, `azp` us if it is there.
#[test]
fn a_token_is_from_the_pool_and_for_us_alone() {
    accepted(with_claims(&json!({})));
    accepted(with_claims(&json!({ "aud": ["tv"], "azp": "tv" })));
    for iss in [json!("https://pool.example/"), json!("https://evil.example"), json!([ISSUER]), Value::Null] {
        refused(with_claims(&json!({ "iss": iss })), "iss");
    }
    for aud in [json!("other"), json!(["tv", "other"]), json!([]), json!([["tv"]]), json!(7), Value::Null] {
        refused(with_claims(&json!({ "aud": aud })), "aud");
    }
    for azp in [json!("other"), json!(["tv"])] {
        refused(with_claims(&json!({ "azp": azp })), "azp");
    }
}

/// IT-02: times with the leeway, not more.
#[test]
fn times_are_judged_with_the_leeway() {
    for (change, word) in [
        (json!({ "exp": NOW - 10, "iat": NOW - 300 }), None),
        (json!({ "exp": NOW - 59, "iat": NOW - 300 }), None),
        (json!({ "exp": NOW - 60, "iat": NOW - 300 }), Some("expired")),
        (json!({ "exp": NOW - 600, "iat": NOW - 900 }), Some("expired")),
        (json!({ "iat": NOW + 60 }), None),
        (json!({ "iat": NOW + 61 }), Some("iat")),
        (json!({ "iat": NOW + 3600, "exp": NOW + 7200 }), Some("iat")),
        (json!({ "iat": NOW + 50, "exp": NOW + 49 }), Some("iat")),
        (json!({ "nbf": NOW + 60 }), None),
        (json!({ "nbf": NOW + 61 }), Some("nbf")),
        (json!({ "exp": 1_767_225_900.5 }), None),
        (json!({ "exp": 1e300 }), Some("exp")),
        (json!({ "exp": -1 }), Some("exp")),
        (json!({ "exp": u64::MAX }), None),
        (json!({ "exp": null }), Some("exp")),
        (json!({ "iat": null }), Some("iat")),
        (json!({ "exp": "1767225900" }), Some("exp")),
        (json!({ "nbf": "soon" }), Some("nbf")),
    ] {
        match word {
            None => accepted(with_claims(&change)),
            Some(word) => refused(with_claims(&change), word),
        }
    }
}

/// IT-03: the nonce of this trip, and no other.
#[test]
fn the_nonce_is_the_trips_own() {
    for nonce in [Value::Null, json!("other"), json!(""), json!("n "), json!(["n"])] {
        refused(with_claims(&json!({ "nonce": nonce })), "nonce");
    }
}

/// IT-04: one flipped byte anywhere, and the signature is wrong.
#[test]
fn a_flipped_byte_breaks_the_signature() {
    let pair = Pair::es256();
    let keys = pair.keys();
    let token = pair.token(&header(SigningAlgorithm::Es256).to_string(), &claims().to_string());
    accepted(judged(&token, &keys));
    let (first, second) = (token.find('.').unwrap(), token.rfind('.').unwrap());
    for at in [first + 10, second - 10, second + 1, second + 40] {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(bytes).unwrap();
        assert!(matches!(judged(&flipped, &keys), Err(NotSigned::Refused(_))), "byte {at}");
    }
    refused(judged(&token[..=second], &keys), "signature");
    let stranger = Pair::es256();
    refused(judged(&token, &stranger.keys()), "signature");
}

/// IT-05: neither `none`, nor an HMAC with the public key, nor a key of another kind.
#[test]
fn algorithms_cannot_be_swapped() {
    let pair = Pair::es256();
    for alg in [json!("none"), json!("None"), json!("HS256"), json!("es256"), json!(null), json!(["ES256"])] {
        refused(with_header(&json!({ "alg": alg })), "algorithm");
    }
    let header = json!({ "alg": "HS256", "kid": "k" }).to_string();
    let message = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(header),
        BASE64_URL_SAFE_NO_PAD.encode(claims().to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pair.public()), message.as_bytes());
    let forged = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag));
    refused(judged(&forged, &pair.keys()), "algorithm");
    for alg in ["RS256", "PS256", "ES384", "EdDSA"] {
        assert!(matches!(with_header(&json!({ "alg": alg })), Err(NotSigned::UnknownKey)), "{alg}");
    }
    let token = pair.token(&self::header(SigningAlgorithm::Es256).to_string(), &claims().to_string());
    let narrowed = read(&token, &[SigningAlgorithm::Rs256]);
    assert!(narrowed.is_err(), "the configuration does not allow ES256");
}

/// IT-06: what a header says about keys has no effect, and no extension is critical for us.
#[test]
fn keys_in_the_header_have_no_effect() {
    let (pool, forger) = (Pair::es256(), Pair::es256());
    let own_key = json!({
        "jwk": forger.jwk(), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "x5c": ["AAAA"],
    });
    let header = changed(header(SigningAlgorithm::Es256), &own_key).to_string();
    refused(judged(&forger.token(&header, &claims().to_string()), &pool.keys()), "signature");
    accepted(judged(&pool.token(&header, &claims().to_string()), &pool.keys()));
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("x")] {
        refused(with_header(&json!({ "crit": crit, "b64": false })), "crit");
    }
    assert!(matches!(with_header(&json!({ "kid": "other" })), Err(NotSigned::UnknownKey)));
    refused(with_header(&json!({ "kid": 7 })), "JWT");
    accepted(with_header(&json!({ "kid": null })));
}

/// IT-07: the hash of the signature's algorithm, left half, for the access token and the code.
#[test]
fn hashes_follow_the_signature_algorithm() {
    for (pair, hash) in [
        (Pair::es256(), &digest::SHA256),
        (Pair::es384(), &digest::SHA384),
        (Pair::ed25519(), &digest::SHA512),
    ] {
        let half = |value: &str, hash| {
            let whole = digest::digest(hash, value.as_bytes());
            BASE64_URL_SAFE_NO_PAD.encode(&whole.as_ref()[..whole.as_ref().len() / 2])
        };
        let with = |change: &Value| {
            let claims = changed(claims(), change).to_string();
            judged(&pair.token(&header(pair.algorithm()).to_string(), &claims), &pair.keys())
        };
        accepted(with(&json!({ "at_hash": half(ACCESS, hash), "c_hash": half(CODE, hash) })));
        refused(with(&json!({ "at_hash": half("another", hash) })), "at_hash");
        refused(with(&json!({ "c_hash": half("another", hash) })), "c_hash");
        refused(with(&json!({ "at_hash": 7 })), "at_hash");
        let other = if hash.output_len() == 32 { &digest::SHA384 } else { &digest::SHA256 };
        refused(with(&json!({ "at_hash": half(ACCESS, other) })), "at_hash");
    }
}

/// IT-08: a token for another use, or with claims of wrong types, is refused.
#[test]
fn other_kinds_of_tokens_are_refused() {
    for typ in ["at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", "JOSE", ""] {
        refused(with_header(&json!({ "typ": typ })), "typ");
    }
    refused(with_header(&json!({ "typ": ["JWT"] })), "typ");
    for typ in [json!("jwt"), json!("application/jwt"), Value::Null] {
        accepted(with_header(&json!({ "typ": typ })));
    }
    accepted(with_claims(&json!({ "token_use": "id", "typ": "ID" })));
    for claims in [
        json!({ "token_use": "access" }),
        json!({ "token_use": ["id"] }),
        json!({ "typ": "Bearer" }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "Logout" }),
        json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }),
    ] {
        refused(with_claims(&claims), "kind");
    }
    for sub in [json!(7), json!(""), json!(["alice"]), Value::Null] {
        refused(with_claims(&json!({ "sub": sub })), "sub");
    }
}

/// IT-08: repeated members, parts that are no JSON, more or fewer parts, and sheer size are refused without a crash.
#[test]
fn malformed_tokens_are_refused() {
    let pair = Pair::es256();
    let keys = pair.keys();
    let (header, claims) = (header(SigningAlgorithm::Es256).to_string(), claims().to_string());
    let doubled = |object: &str, member: &str| format!("{},{member}}}", object.strip_suffix('}').unwrap());
    refused(judged(&pair.token(&doubled(&header, r#""kid":"k""#), &claims), &keys), "JWT");
    refused(judged(&pair.token(&doubled(&header, r#""alg":"ES256""#), &claims), &keys), "JWT");
    refused(judged(&pair.token(&header, &doubled(&claims, r#""sub":"alice""#)), &keys), "JSON");
    refused(judged(&pair.token(&header, &doubled(&claims, r#""x":{"a":1,"a":2}"#)), &keys), "JSON");
    refused(judged(&pair.token(&header, "[]"), &keys), "JSON");
    refused(judged(&pair.token("[]", &claims), &keys), "JWT");
    for text in ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d.e", "\u{e9}.\u{e9}.\u{e9}"] {
        refused(judged(text, &keys), "JWT");
    }
    let padded = changed(self::claims(), &json!({ "groups": "g".repeat(LONGEST) }));
    refused(judged(&pair.token(&header, &padded.to_string()), &keys), "long");
}

/// SEC-14: a sign-in of the wanted kind and age passes, with the leeway; a pool that says nothing of it does not
/// (OpenID Connect Core section 3.1.3.7, items 12 and 13).
#[test]
fn the_sign_in_must_be_what_was_asked_for() {
    let demand = SignInDemand {
        acr_values: vec!["mfa".to_owned(), "gold".to_owned()],
        since: Some(Timestamp::from_secs(NOW - 300)),
    };
    let verdict = |demand: &SignInDemand, claims: &Value| {
        let token = with_claims(claims).unwrap();
        expecting(|expected| token.meets(demand, expected))
    };
    for (acr, auth_time, good) in [
        (json!("mfa"), json!(NOW), true),
        (json!("gold"), json!(NOW - 360), true),
        (json!("gold"), json!(NOW + 60), true),
        (json!("gold"), json!(NOW - 361), false),
        (json!("gold"), json!(NOW + 61), false),
        (json!("gold"), json!("now"), false),
        (json!("gold"), Value::Null, false),
        (json!("silver"), json!(NOW), false),
        (json!("mfa gold"), json!(NOW), false),
        (json!(""), json!(NOW), false),
        (json!(["mfa"]), json!(NOW), false),
        (Value::Null, json!(NOW), false),
    ] {
        let claims = json!({ "acr": acr, "auth_time": auth_time });
        assert_eq!(verdict(&demand, &claims).is_ok(), good, "{claims}");
    }
    assert!(verdict(&SignInDemand::default(), &json!({})).is_ok(), "nothing was asked for");
}
