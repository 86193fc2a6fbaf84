//! Faults on demand.

use device_grant_dev_pool::{CannedResponse, Endpoint, Fault, Hold, Overrides, SignatureFault};
use jsonwebtoken::Algorithm;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Bench, jws_part, query_value, refusal};
use crate::tokens::verified;

#[tokio::test]
async fn a_held_request_waits_for_its_release() {
    let bench = Bench::start().await;
    let code = bench.code("tv").await;
    let faults = bench.served.pool().faults();
    let hold = faults.hold_next(Endpoint::Token);
    let overtake = async {
        hold.arrived().await;
        // The held one has not been worked on, so this one gets the tokens.
        let overtaking = bench.exchange("tv", &code).await;
        hold.release();
        overtaking
    };
    let (late, overtaking) = tokio::join!(bench.exchange("tv", &code), overtake);
    assert_eq!(overtaking.status(), 200);
    assert_eq!(refusal(late).await, (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_held_answer_belongs_to_finished_work() {
    let bench = Bench::start().await;
    let code = bench.code("tv").await;
    let hold = Hold::new();
    bench.served.pool().faults().once(Endpoint::Token, Fault::HoldAnswer(hold.clone()));
    let second = async {
        hold.arrived().await;
        let refused = refusal(bench.exchange("tv", &code).await).await;
        hold.release();
        refused
    };
    let (first, second) = tokio::join!(bench.exchange("tv", &code), second);
    assert_eq!((first.status(), second), (StatusCode::OK, (400, "invalid_grant".into())));
}

#[tokio::test]
async fn a_dropped_request_was_read_and_left_alone() {
    let bench = Bench::start().await;
    let code = bench.code("tv").await;
    let faults = bench.served.pool().faults();
    faults.once(Endpoint::Token, Fault::Drop);
    let error = bench.post("/token", "tv", &[("code", &code)]).send().await.unwrap_err();
    assert!(!error.is_connect() && error.status().is_none());
    assert_eq!(bench.served.pool().requests().count(Endpoint::Token), 1);
    assert_eq!(bench.exchange("tv", &code).await.status(), 200);
}

#[tokio::test]
async fn a_dropped_answer_leaves_its_effect() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("tv").await;
    bench.served.pool().faults().once(Endpoint::Revoke, Fault::DropAnswer);
    let form = [("token", tokens["refresh_token"].as_str().unwrap())];
    assert!(bench.post("/revoke", "tv", &form).send().await.is_err());
    assert!(!bench.is_live(&tokens["refresh_token"]));
}

#[tokio::test]
async fn canned_answers_come_in_order_and_then_always() {
    let bench = Bench::start().await;
    let faults = bench.served.pool().faults();
    let teapot =
        CannedResponse::new(StatusCode::TOO_MANY_REQUESTS, "text/plain", "slow").header("retry-after", "7");
    faults.always(Endpoint::Jwks, Fault::Respond(CannedResponse::json(StatusCode::BAD_GATEWAY, &json!({}))));
    faults.once(Endpoint::Jwks, Fault::Respond(teapot));
    faults.once(Endpoint::Jwks, Fault::Respond(CannedResponse::oversized(3_000_000)));
    let fetch = || async { bench.http.get(bench.url("/jwks")).send().await.unwrap() };
    let first = fetch().await;
    assert_eq!((first.status().as_u16(), &first.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert!(fetch().await.bytes().await.unwrap().len() > 3_000_000);
    assert_eq!(fetch().await.status(), 502);
    assert_eq!(fetch().await.status(), 502);
    faults.clear();
    assert_eq!(fetch().await.status(), 200);
    assert_eq!(bench.served.pool().requests().count(Endpoint::Jwks), 5);
}

#[tokio::test]
async fn metadata_and_token_responses_can_lie() {
    let bench = Bench::start().await;
    bench.served.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([
            ("issuer", json!("http://other.test")),
            ("revocation_endpoint", Value::Null),
            ("code_challenge_methods_supported", json!(["plain"])),
        ]);
        behaviour.token_response =
            Overrides::from([("token_type", json!("mac")), ("refresh_token", Value::Null)]);
    });
    let metadata = bench.metadata().await;
    assert_eq!(metadata["issuer"], "http://other.test");
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["plain"]));
    assert!(metadata.get("revocation_endpoint").is_none());
    let tokens = bench.tokens("tv").await;
    assert_eq!(tokens["token_type"], "mac");
    assert!(tokens.get("refresh_token").is_none());
}

#[tokio::test]
async fn id_tokens_can_be_forged_in_every_known_way() {
    let bench = Bench::start().await;
    let faults = bench.served.pool().faults();
    for (fault, alg) in [
        (SignatureFault::OtherKey, "ES256"),
        (SignatureFault::AlgNone, "none"),
        (SignatureFault::Hs256WithPublicKey, "HS256"),
    ] {
        faults.set(|behaviour| behaviour.id_token_signature = Some(fault));
        let tokens = bench.tokens("tv").await;
        assert_eq!(jws_part(&tokens["id_token"], 0)["alg"], alg);
        assert!(verified(&bench, &tokens["id_token"], Algorithm::ES256).await.is_none());
        assert!(verified(&bench, &tokens["access_token"], Algorithm::ES256).await.is_some());
    }
    faults.clear();
    faults.set(|behaviour| {
        behaviour.id_token_claims = Overrides::from([("at_hash", json!("wrong")), ("nonce", Value::Null)]);
        behaviour.id_token_header =
            Overrides::from([("jku", json!("http://evil.test")), ("typ", Value::Null)]);
    });
    let tokens = bench.tokens("tv").await;
    let claims = verified(&bench, &tokens["id_token"], Algorithm::ES256).await.unwrap();
    assert_eq!((&claims["at_hash"], claims.get("nonce")), (&json!("wrong"), None));
    let header = jws_part(&tokens["id_token"], 0);
    assert_eq!((&header["jku"], header.get("typ")), (&json!("http://evil.test"), None));
}

#[tokio::test]
async fn the_callback_can_carry_an_error_or_a_wrong_issuer() {
    let bench = Bench::with(|config| config.issuer_on_callback = true).await;
    let faults = bench.served.pool().faults();
    faults.set(|behaviour| {
        behaviour.callback = Overrides::from([
            ("code", Value::Null),
            ("error", json!("temporarily_unavailable")),
            ("iss", json!("http://other.test")),
        ]);
    });
    let callback = bench.alice().visit(&bench.authorize_url("tv", &[])).await.unwrap();
    assert_eq!(query_value(&callback, "code"), None);
    assert_eq!(query_value(&callback, "error").unwrap(), "temporarily_unavailable");
    assert_eq!(query_value(&callback, "iss").unwrap(), "http://other.test");

    faults.set(|behaviour| {
        behaviour.callback = Overrides::from([("code", json!(["a", "b"])), ("iss", Value::Null)]);
    });
    let callback = bench.alice().visit(&bench.authorize_url("tv", &[])).await.unwrap();
    let codes: Vec<_> =
        callback.query_pairs().filter(|pair| pair.0 == "code").map(|pair| pair.1.into_owned()).collect();
    assert_eq!((codes, query_value(&callback, "iss")), (vec!["a".to_owned(), "b".to_owned()], None));
}

#[tokio::test]
async fn a_pool_that_refuses_connections_comes_back_with_what_it_knew() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("tv").await;
    bench.served.refuse_connections().await;
    // A client of its own: one with an open connection would first find that one closed.
    let fresh = reqwest::Client::builder().build().unwrap();
    assert!(fresh.get(bench.url("/jwks")).send().await.unwrap_err().is_connect());
    bench.served.accept_connections().await.unwrap();
    assert_eq!(fresh.get(bench.url("/jwks")).send().await.unwrap().status(), 200);
    assert!(bench.is_live(&tokens["refresh_token"]));
}
