//! How device clients prove themselves, as it is written.

use std::time::Duration;

use device_grant_domain::client::{Audience, ClientAuth, KeySource, PoolBinding, PrivateKeyJwt, SecretHash};
use device_grant_domain::dpop::Dpop;
use device_grant_domain::jws::SigningAlgorithm;

use super::{GOOD, Written, good, only_problem, problems};

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

fn plain_hash(hash: SecretHash) -> [u8; 32] {
    match hash {
        SecretHash::Plain(hash) => hash,
        SecretHash::Keyed { .. } => panic!("the configuration keys no hash"),
    }
}

#[test]
fn clients_prove_themselves_in_the_ways_that_are_written() {
    let auth = |lines: &str| {
        let text = GOOD.replace("auth_method = \"none\"\n", lines);
        good(&text).clients[0].auth.clone()
    };
    assert!(matches!(auth("auth_method = \"none\"\n"), ClientAuth::None));
    let plain = auth("secret = \"s\"\n");
    assert!(matches!(plain, ClientAuth::Secret { post: true, .. }));
    let basic = auth("secret = \"s\"\nauth_method = \"client_secret_basic\"\n");
    assert!(matches!(basic, ClientAuth::Secret { post: false, .. }));
    let file = Written::new("s\n");
    let hash = "043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89";
    for lines in [format!("secret_file = {:?}\n", file.0), format!("secret_hash = \"sha256:{hash}\"\n")] {
        let (ClientAuth::Secret { hash: one, .. }, ClientAuth::Secret { hash: other, .. }) =
            (auth(&lines), &plain)
        else {
            panic!("a secret is a secret");
        };
        assert_eq!(plain_hash(one), plain_hash(*other), "{lines}");
    }
}

#[test]
fn clients_that_contradict_themselves_are_refused() {
    for (lines, word) in [
        ("", "auth_method"),
        ("auth_method = \"client_secret_post\"\n", "secret_file"),
        ("auth_method = \"none\"\nsecret = \"s\"\n", "auth_method"),
        ("secret = \"s\"\nsecret_file = \"x\"\n", "secret_file"),
        ("secret_hash = \"hunter2\"\n", "secret_hash"),
        ("secret_file = \"/no/such/file\"\n", "secret_file"),
        ("auth_method = \"none\"\nscopes = [\"a b\"]\n", "scopes"),
        ("auth_method = \"none\"\ndefault_scope = [\"email\"]\n", "default_scope"),
        ("auth_method = \"none\"\ntoken_set = \"ID\"\n", "token_set"),
        ("auth_method = \"none\"\ngrant_types = [\"password\"]\n", "grant_types"),
        ("auth_method = \"none\"\nupstream_client_id = \"device-grant\"\n", "upstream_client_id"),
        ("auth_method = \"none\"\nupstream_client_secret = \"s\"\n", "upstream_client_id"),
    ] {
        let told = problems(&GOOD.replace("auth_method = \"none\"\n", lines), &[]);
        assert!(told.iter().any(|told| told.contains(&format!("client[1].{word}"))), "{lines}: {told:?}");
        assert!(!told.join("\n").contains("hunter2"), "a secret in the wrong place stays one");
    }
}

#[test]
fn a_pool_client_of_its_own_needs_its_secret_and_is_nobody_elses() {
    let own = |lines: &str| GOOD.replace("auth_method = \"none\"\n", lines);
    let config = good(&own("secret = \"s\"\nupstream_client_id = \"same\"\n"));
    let PoolBinding::Own(client) = &config.clients[0].pool_client else { panic!("its own") };
    assert_eq!(
        (client.client_id.as_str(), client.secret.as_ref().unwrap().present().unwrap().expose()),
        ("tv", "s")
    );
    let hash = format!("secret_hash = \"sha256:{}\"\nupstream_client_id = \"same\"\n", "0".repeat(64));
    assert!(only_problem(&own(&hash), &[]).contains("the secret itself"));
    let twice = own("auth_method = \"none\"\nupstream_client_id = \"x\"\n")
        + "[[client]]\nid = \"b\"\nauth_method = \"none\"\nupstream_client_id = \"x\"\n";
    assert!(only_problem(&twice, &[]).contains("client[2].upstream_client_id"));
}

/// TP-12: tokens are fetched again only by who proves to be who has fetched them, and not before the next poll can come.
#[test]
fn a_window_is_for_clients_that_prove_themselves() {
    let window = |lines: &str| good(&with_client(lines)).clients.remove(1).redelivery;
    let secret = "secret = \"a-secret-of-enough-characters\"";
    assert_eq!(window(&format!("{secret}\nredelivery_s = 30")), Some(Duration::from_secs(30)));
    assert_eq!(window(secret), None);
    let tied = "auth_method = \"none\"\ndpop = \"required\"\nredelivery_s = 30";
    assert_eq!(window(tied), Some(Duration::from_secs(30)));
    for dpop in ["off", "optional"] {
        let lines = format!("auth_method = \"none\"\ndpop = \"{dpop}\"\nredelivery_s = 30");
        let told = only_problem(&with_client(&lines), &[]);
        assert!(told.contains("redelivery_s") && told.contains("public client"), "{told}");
    }
    let told = only_problem(&with_client(&format!("{secret}\nredelivery_s = 9")), &[]);
    assert!(told.contains("10 at least"), "{told}");
}
