//! How device clients prove themselves, as it is written.

use device_grant_domain::client::{Audience, ClientAuth, KeySource, PrivateKeyJwt, SecretHash};
use device_grant_domain::dpop::Dpop;
use device_grant_domain::jws::SigningAlgorithm;

use super::{GOOD, Written, good, only_problem, plain_hash, problems};

/// The key of RFC 7517 appendix A.1, and its private half of appendix A.2.
const PUBLIC: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
const PRIVATE: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}]}"#;

/// `GOOD` with a second client that has these lines.
fn with_client(lines: &str) -> String {
    format!("{GOOD}\n[[client]]\nid = \"box\"\n{lines}\n")
}

fn auth(lines: &str) -> ClientAuth {
    good(&with_client(lines)).clients.remove(1).auth
}

fn keys_in(text: &str) -> (Written, String) {
    let file = Written::new(text);
    let lines = format!("auth_method = \"private_key_jwt\"\njwks_file = {:?}", file.0);
    (file, lines)
}

/// CA-11, CA-14, CA-15: a client with keys in a file, or at a place of its own; strict unless told otherwise.
#[test]
fn a_client_may_sign_itself_in() {
    let (_file, lines) = keys_in(PUBLIC);
    let ClientAuth::PrivateKeyJwt(PrivateKeyJwt { keys, algorithms, audience }) = auth(&lines) else {
        panic!("it signs itself in")
    };
    assert!(matches!(keys, KeySource::Registered(_)));
    assert_eq!((algorithms.as_slice(), audience), (&SigningAlgorithm::OF_DEVICES[..], Audience::Issuer));
    let remote = "auth_method = \"private_key_jwt\"\njwks_uri = \"https://keys.example/jwks\"\n\
                  assertion_algorithms = [\"ES256\"]\nassertion_audience = \"endpoint\"";
    let ClientAuth::PrivateKeyJwt(PrivateKeyJwt { keys, algorithms, audience }) = auth(remote) else {
        panic!("it signs itself in")
    };
    assert!(matches!(keys, KeySource::At(uri) if uri.as_str() == "https://keys.example/jwks"));
    assert_eq!((algorithms, audience), (vec![SigningAlgorithm::Es256], Audience::Endpoint));
}

/// CA-14, CA-15: key files that cannot be right are refused with what is wrong, and never quoted.
#[test]
fn a_bad_key_file_is_refused() {
    for (text, words) in [
        (PRIVATE, "public keys only"),
        ("{\"keys\":[]}", "at least one of public keys"),
        (r#"{"keys":[{"kty":"RSA","n":"2yk","e":"AQAB"}]}"#, "RSA of 2048 bits or more"),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "public keys only"),
        ("[]", "a JWK set"),
        ("hunter2", "a JWK set"),
    ] {
        let (_file, lines) = keys_in(text);
        let told = only_problem(&with_client(&lines), &[]);
        assert!(told.contains("client[2].jwks_file") && told.contains(words), "{told}");
        assert!(!told.contains("870MB") && !told.contains("hunter2"), "{told}");
    }
    let told = only_problem(&with_client("auth_method = \"private_key_jwt\"\njwks_file = \"no/such\""), &[]);
    assert!(told.contains("a file that can be read"), "{told}");
}

/// CA-14: a key that is too weak to be used is told, and does not keep the others from being used.
#[test]
fn a_weak_key_is_told() {
    let weak = r#"{"kty":"RSA","n":"2yk","e":"AQAB"}"#;
    let (_file, lines) = keys_in(&PUBLIC.replace("[{", &format!("[{weak},{{")));
    let warnings = good(&with_client(&lines)).warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("jwks_file: 1 of its keys cannot be used"),
        "{warnings:?}"
    );
}

/// HI-14: ID tokens, assertions and proofs are judged with one skew.
#[test]
fn there_is_one_skew() {
    let text = GOOD.replace("client_id = \"device-grant\"", "client_id = \"device-grant\"\nleeway_s = 7");
    let config = good(&text);
    assert_eq!((config.settings.leeway.as_secs(), config.pool.leeway.as_secs()), (7, 7));
}

/// CA-08, CA-14, CA-15: what does not go together is told.
#[test]
fn ways_of_authenticating_are_not_mixed() {
    let jwt = "auth_method = \"private_key_jwt\"\n";
    let uri = "jwks_uri = \"https://keys.example/jwks\"\n";
    for (lines, words) in [
        (jwt.to_owned(), "jwks_file: found nothing, expected the public keys"),
        (
            format!("{jwt}{uri}jwks_file = \"keys.json\""),
            "jwks_uri: found \"https://keys.example/jwks\", expected either",
        ),
        (
            format!("{jwt}{uri}secret = \"x\""),
            "auth_method: found \"private_key_jwt\", expected a method with a secret",
        ),
        (
            format!("{jwt}{uri}next_secret = \"x\""),
            "auth_method: found \"private_key_jwt\", expected a method",
        ),
        (format!("{jwt}{uri}assertion_algorithms = [\"HS256\"]"), "expected some of RS256"),
        (format!("{jwt}{uri}assertion_algorithms = []"), "expected some of RS256"),
        (
            format!("{jwt}jwks_uri = \"https://me:pw@keys.example/\""),
            "expected an https URL without credentials",
        ),
        (format!("{jwt}jwks_uri = \"http://keys.example/\""), "expected an https URL without credentials"),
        (format!("auth_method = \"none\"\n{uri}"), "expected auth_method = \"private_key_jwt\" beside it"),
        (format!("secret = \"x\"\n{uri}"), "expected auth_method = \"private_key_jwt\" beside it"),
        ("auth_method = \"none\"\nnext_secret = \"x\"".to_owned(), "expected a method with a secret"),
        ("next_secret = \"x\"".to_owned(), "secret_file: found nothing, expected the secret of the client"),
        (
            "secret = \"x\"\nnext_secret_hash = \"sha256:12\"".to_owned(),
            "next_secret_hash: found a secret, expected sha256:",
        ),
    ] {
        let told = problems(&with_client(&lines), &[]);
        assert!(told.iter().any(|line| line.contains(words)), "{lines}: {told:#?}");
    }
}

/// CA-15: while a secret is rotated the client has two.
#[test]
fn a_client_may_have_a_next_secret() {
    let ClientAuth::Secret { hash, other: Some(other), post: true } =
        auth("secret = \"old\"\nnext_secret = \"new\"")
    else {
        panic!("it has a secret")
    };
    let expected = ["old", "new"].map(|secret| plain_hash(SecretHash::of(secret)));
    assert_eq!([hash, other.hash].map(plain_hash), expected);
    assert!(other.until.is_none());
}

/// DP-08, DP-10: proofs are off unless switched on, and refused where nothing could bind the refresh token.
#[test]
fn proofs_are_switched_on_where_they_can_bind() {
    let dpop = |lines: &str| good(&with_client(lines)).clients.remove(1).dpop;
    assert_eq!(dpop("auth_method = \"none\""), Dpop::Off);
    assert_eq!(dpop("auth_method = \"none\"\ndpop = \"required\""), Dpop::Required);
    let own = "upstream_client_id = \"box-at-the-pool\"\ndpop = \"optional\"\n";
    assert_eq!(dpop(&format!("{own}secret = \"x\"")), Dpop::Optional);
    let told = only_problem(&with_client(&format!("{own}auth_method = \"none\"")), &[]);
    assert!(
        told.contains("client[2].dpop: found \"optional\", expected \"off\", or a client without upstream"),
        "{told}"
    );
    let settings = good(&format!("{GOOD}[dpop]\nnonce = true\nproof_life_s = 30")).settings.dpop;
    assert_eq!((settings.nonce, settings.proof_life.as_secs()), (true, 30));
}
