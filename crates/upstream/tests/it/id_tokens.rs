//! ID tokens that are not what they should be: nothing is handed out, and the refresh token is revoked at the pool.

use device_grant_dev_pool::{Behaviour, Endpoint, Overrides, SignatureFault, SigningAlgorithm};
use serde_json::{Value, json};

use crate::support::{Bench, unusable};

/// A sign-in at a pool that behaves like this must fail with these words.
async fn refused(bench: &Bench, behave: impl FnOnce(&mut Behaviour), words: &str) {
    bench.pool().faults().clear();
    bench.pool().faults().set(behave);
    bench.pool().requests().clear();
    let said = unusable(bench.login().await);
    assert!(said.contains(words), "{words}: {said}");
    assert!(bench.revoked().is_some(), "{words}: the refresh token still lives");
}

async fn claims_refused(bench: &Bench, claims: impl Into<Overrides>, words: &str) {
    let claims = claims.into();
    refused(bench, |behaviour| behaviour.id_token_claims = claims, words).await;
}

/// IT-01: another issuer, a stranger in the audience, another authorized party.
#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let bench = Bench::start().await;
    let slash = format!("{}/", bench.served.issuer());
    for (claim, value) in [
        ("iss", json!(slash)),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("aud", json!("app")),
        ("aud", json!(["tv", "app"])),
        ("aud", Value::Null),
        ("azp", json!("app")),
    ] {
        claims_refused(&bench, [(claim, value)], claim).await;
    }
}

/// IT-02: ten seconds over are within the leeway, ten minutes are not, and the future is not yet.
#[tokio::test]
async fn a_token_of_another_time_is_refused() {
    let bench = Bench::start().await;
    let now = bench.now();
    bench.pool().faults().set(|behaviour| {
        behaviour.id_token_claims = Overrides::from([("exp", json!(now - 10)), ("iat", json!(now - 300))]);
    });
    assert!(bench.login().await.is_ok());
    claims_refused(&bench, [("exp", json!(now - 600)), ("iat", json!(now - 900))], "expired").await;
    claims_refused(&bench, [("iat", json!(now + 3600)), ("exp", json!(now + 7200))], "iat").await;
    claims_refused(&bench, [("exp", Value::Null)], "exp").await;
}

/// IT-03: a nonce of another trip, an empty one, or none.
#[tokio::test]
async fn a_token_of_another_trip_is_refused() {
    let bench = Bench::start().await;
    for nonce in [json!("another"), json!(""), Value::Null] {
        claims_refused(&bench, [("nonce", nonce)], "nonce").await;
    }
}

/// IT-04, IT-05: a strange key, no signature, or an HMAC with the public key.
#[tokio::test]
async fn a_forged_signature_is_refused() {
    for signing in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let bench = Bench::with(|pool| pool.signing = signing, |_| {}).await;
        assert!(bench.login().await.is_ok());
        for (fault, words) in [
            (SignatureFault::OtherKey, "signature is wrong"),
            (SignatureFault::AlgNone, "algorithm"),
            (SignatureFault::Hs256WithPublicKey, "algorithm"),
        ] {
            refused(&bench, |behaviour| behaviour.id_token_signature = Some(fault), words).await;
        }
    }
}

/// IT-05: a header that names an algorithm of another key type, though discovery allows both.
#[tokio::test]
async fn a_key_of_another_type_is_refused() {
    let bench = Bench::with(|pool| pool.signing = SigningAlgorithm::Rs256, |_| {}).await;
    let behave = |behaviour: &mut Behaviour| {
        behaviour.discovery =
            Overrides::from([("id_token_signing_alg_values_supported", json!(["RS256", "ES256"]))]);
        behaviour.id_token_header = Overrides::from([("alg", json!("ES256"))]);
    };
    refused(&bench, behave, "does not publish").await;
}

/// IT-06: a header with keys of its own calls nobody and convinces nobody.
#[tokio::test]
async fn keys_of_the_token_itself_are_ignored() {
    let bench = Bench::start().await;
    bench.login().await.unwrap();
    let decoy = Bench::start().await;
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
    let address = format!("{}/jwks", decoy.served.issuer());
    let behave = |behaviour: &mut Behaviour| {
        behaviour.id_token_signature = Some(SignatureFault::OtherKey);
        behaviour.id_token_header = Overrides::from([
            ("jwk", jwk),
            ("jku", json!(address)),
            ("x5u", json!(address)),
            ("x5c", json!(["AA"])),
        ]);
    };
    refused(&bench, behave, "signature is wrong").await;
    assert_eq!(decoy.pool().requests().all().len(), 0);
    assert_eq!(bench.count(Endpoint::Jwks), 0);
    let crit =
        |behaviour: &mut Behaviour| behaviour.id_token_header = Overrides::from([("crit", json!(["x"]))]);
    refused(&bench, crit, "crit").await;
}

/// IT-07: another access token than the one the ID token was made with, also where the hash is SHA-384.
#[tokio::test]
async fn a_swapped_access_token_is_noticed() {
    for signing in [SigningAlgorithm::Es256, SigningAlgorithm::Es384] {
        let bench = Bench::with(|pool| pool.signing = signing, |_| {}).await;
        assert!(bench.login().await.is_ok(), "{signing:?}");
        let swap = |behaviour: &mut Behaviour| {
            behaviour.token_response = Overrides::from([("access_token", json!("another"))]);
        };
        refused(&bench, swap, "at_hash").await;
    }
}

/// IT-08: no ID token, an access token in its place, wrong types, no JWT at all, or one of a size nobody needs.
#[tokio::test]
async fn what_is_no_id_token_is_refused() {
    let bench = Bench::start().await;
    for (id_token, words) in [
        (Value::Null, "no id_token"),
        (json!(""), "no id_token"),
        (json!(7), "no id_token"),
        (json!("no.jwt"), "no signed JWT"),
        (json!("a.b.c"), "no signed JWT"),
        (json!("x".repeat(100_000)), "too long"),
    ] {
        let behave = |behaviour: &mut Behaviour| {
            behaviour.token_response = Overrides::from([("id_token", id_token)]);
        };
        refused(&bench, behave, words).await;
    }
    for (claim, value, words) in [
        ("token_use", json!("access"), "another kind"),
        ("events", json!({}), "another kind"),
        ("sub", json!(7), "sub"),
        ("exp", json!("tomorrow"), "exp"),
        ("groups", json!("g".repeat(70_000)), "too long"),
    ] {
        claims_refused(&bench, [(claim, value)], words).await;
    }
    let typ =
        |behaviour: &mut Behaviour| behaviour.id_token_header = Overrides::from([("typ", json!("at+jwt"))]);
    refused(&bench, typ, "typ").await;
    bench.pool().faults().clear();
    let access = bench.login().await.unwrap().response.access_token;
    let swap = |behaviour: &mut Behaviour| {
        behaviour.token_response = Overrides::from([("id_token", json!(access.expose()))]);
    };
    refused(&bench, swap, "refused").await;
}

/// Tokens that cannot be revoked are dropped all the same.
#[tokio::test]
async fn a_pool_without_revocation_hands_out_nothing_either() {
    let bench = Bench::start().await;
    bench.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([("revocation_endpoint", Value::Null)]);
        behaviour.id_token_claims = Overrides::from([("nonce", Value::Null)]);
    });
    assert!(unusable(bench.login().await).contains("nonce"));
    assert_eq!(bench.count(Endpoint::Revoke), 0);
}
