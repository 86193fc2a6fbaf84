//! Refreshes, passed on once.

use device_grant_dev_pool::{CannedResponse, Endpoint, Fault, Overrides};
use device_grant_domain::pool::{RefreshError, UserPool};
use device_grant_protocol::{AuthMethod, ClientSecret, RefreshToken, Scope};
use serde_json::{Value, json};

use crate::support::Bench;

fn unavailable(outcome: Result<device_grant_protocol::TokenResponse, RefreshError>) -> String {
    match outcome {
        Err(RefreshError::Unavailable(words)) => words,
        other => panic!("{other:?}"),
    }
}

/// RT-01: as a confidential and as a public client; the pool's values are kept.
#[tokio::test]
async fn a_refresh_is_passed_on() {
    for client_id in ["tv", "app"] {
        let mut bench = Bench::start().await;
        if client_id == "app" {
            bench.client.client_id = "app".into();
            (bench.client.secret, bench.client.auth_method) = (None, AuthMethod::None);
        }
        let token = bench.refresh_token().await;
        let response = bench.refresh(&token).await.unwrap();
        assert_eq!(response.expires_in, Some(3600));
        assert!(bench.pool().is_live(response.access_token.expose()));
        let sent = bench.pool().requests().to(Endpoint::Token).pop().unwrap();
        assert_eq!(sent.form_value("grant_type"), Some("refresh_token"));
        assert_eq!(sent.form_value("refresh_token"), Some(token.as_str()));
        assert_eq!(sent.form_value("scope"), None);
    }
}

/// RT-03: a rotated token is passed on; where there is none the member is absent and the old one stays good.
#[tokio::test]
async fn rotation_is_passed_on_as_it_is() {
    let steady = Bench::start().await;
    let token = steady.refresh_token().await;
    for _ in 0..2 {
        assert!(steady.refresh(&token).await.unwrap().refresh_token.is_none());
    }
    let rotating = Bench::with(|pool| pool.rotate_refresh_tokens = true, |_| {}).await;
    let first = rotating.refresh_token().await;
    let second = rotating.refresh(&first).await.unwrap().refresh_token.unwrap();
    assert!(!second.matches(&first));
    assert!(rotating.refresh(second.expose()).await.is_ok());
    rotating.pool().faults().set(|behaviour| {
        behaviour.token_response = Overrides::from([("refresh_token", Value::Null)]);
    });
    let token = steady.refresh_token().await;
    assert!(steady.refresh(&token).await.unwrap().refresh_token.is_none());
}

/// RT-04: a refresh that may have reached the pool is sent once.
#[tokio::test]
async fn a_refresh_that_may_have_arrived_is_not_repeated() {
    let bench = Bench::with(|pool| pool.rotate_refresh_tokens = true, |_| {}).await;
    for fault in [Fault::Drop, Fault::DropAnswer] {
        let token = bench.refresh_token().await;
        bench.pool().requests().clear();
        bench.pool().faults().once(Endpoint::Token, fault);
        unavailable(bench.refresh(&token).await);
        assert_eq!(bench.count(Endpoint::Token), 1);
    }
}

/// RT-05: only the pool's own `invalid_grant` is one.
#[tokio::test]
async fn only_invalid_grant_takes_a_refresh_token_away() {
    let bench = Bench::start().await;
    let token = bench.refresh_token().await;
    for (status, body) in [
        (500, json!({ "error": "invalid_grant" })),
        (502, json!({})),
        (400, json!({ "error": "invalid_request" })),
        (400, json!({ "error": "MARKER", "error_description": "MARKER" })),
        (401, json!({ "error": "invalid_client" })),
        (400, json!({ "error": "unauthorized_client" })),
        (400, json!({ "error": "temporarily_unavailable" })),
        (404, json!({})),
        (302, json!({})),
        (200, json!({ "error": "invalid_grant" })),
        (200, json!({})),
        (200, json!({ "access_token": "a", "token_type": "mac" })),
    ] {
        bench.respond_once(Endpoint::Token, status, &body);
        let words = unavailable(bench.refresh(&token).await);
        assert!(!words.contains("MARKER"), "{words}");
    }
    let html = CannedResponse::new(400_u16.try_into().unwrap(), "text/html", "<html>invalid_grant");
    bench.pool().faults().once(Endpoint::Token, Fault::Respond(html));
    unavailable(bench.refresh(&token).await);
    for status in [429, 503] {
        bench.respond_once(Endpoint::Token, status, &json!({ "error": "invalid_grant" }));
        unavailable(bench.refresh(&token).await);
        bench.advance(1);
    }
    bench.served.refuse_connections().await;
    unavailable(bench.refresh(&token).await);
    bench.served.accept_connections().await.unwrap();
    assert!(bench.refresh(&token).await.is_ok(), "the same refresh token works again");
    assert!(matches!(bench.refresh("unknown").await, Err(RefreshError::Refused)));
}

/// RT-05: a pool that was never seen is unavailable, not a refusal.
#[tokio::test]
async fn a_pool_that_was_never_seen_is_unavailable() {
    let bench = Bench::start().await;
    bench.respond_always(Endpoint::Discovery, 500, &json!({}));
    assert!(unavailable(bench.refresh("token").await).contains("discovery"));
    assert_eq!(bench.count(Endpoint::Token), 0);
}

/// A narrower scope is passed on, a wider one is the pool's `invalid_scope`.
#[tokio::test]
async fn the_scope_is_passed_on() {
    let bench = Bench::start().await;
    let token = RefreshToken::new(bench.refresh_token().await);
    let refresh = async |scope: &str| {
        let scope: Scope = scope.parse().unwrap();
        bench.ours.refresh(&bench.client, &token, Some(&scope)).await
    };
    let narrowed = refresh("openid").await.unwrap();
    assert_eq!(narrowed.scope.unwrap().to_string(), "openid");
    assert!(matches!(refresh("openid email").await, Err(RefreshError::InvalidScope)));
}

/// RT-09: a refreshed ID token is checked, but needs no nonce; it is passed on unchanged.
#[tokio::test]
async fn a_refreshed_id_token_is_checked() {
    let bench = Bench::start().await;
    let token = bench.refresh_token().await;
    let id_token = bench.refresh(&token).await.unwrap().id_token.unwrap();
    assert_eq!(id_token.expose().split('.').count(), 3);
    for (claim, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("app")),
        ("sub", Value::Null),
        ("exp", json!(1)),
        ("at_hash", json!("another")),
    ] {
        bench.pool().faults().set(|behaviour| behaviour.id_token_claims = Overrides::from([(claim, value)]));
        let words = unavailable(bench.refresh(&token).await);
        assert!(words.contains("ID token is refused"), "{claim}: {words}");
    }
    bench.pool().faults().set(|behaviour| {
        behaviour.id_token_claims = Overrides::default();
        behaviour.token_response = Overrides::from([("id_token", Value::Null)]);
    });
    assert!(bench.refresh(&token).await.unwrap().id_token.is_none());
}

/// RT-09, RT-05: an ID token that cannot be checked for want of keys is left out; the rotated refresh token is not.
#[tokio::test]
async fn without_keys_a_refresh_still_hands_its_tokens_on() {
    let bench = Bench::with(|pool| pool.rotate_refresh_tokens = true, |_| {}).await;
    let token = bench.refresh_token().await;
    bench.pool().rotate_keys();
    bench.respond_always(Endpoint::Jwks, 500, &json!({}));
    // The second time the look for keys is cooling down.
    let first = bench.refresh(&token).await.unwrap();
    let second = bench.refresh(first.refresh_token.unwrap().expose()).await.unwrap();
    assert!(first.id_token.is_none() && second.id_token.is_none());
    bench.pool().faults().clear();
    bench.advance(10);
    let third = bench.refresh(second.refresh_token.unwrap().expose()).await.unwrap();
    assert!(third.id_token.is_some());
}

/// Whether the pool takes a client's credentials is told without anybody's token, and only where the pool says so.
#[tokio::test]
async fn credentials_are_tried_without_a_token_of_anybody() {
    let mut bench = Bench::start().await;
    assert_eq!(bench.ours.takes_credentials(&bench.client).await, Ok(true));
    let tried = bench.pool().requests().to(Endpoint::Token).pop().unwrap();
    assert_eq!(tried.form_value("grant_type"), Some("refresh_token"));

    bench.client.secret = Some(ClientSecret::new("another").into());
    assert_eq!(bench.ours.takes_credentials(&bench.client).await, Ok(false));
    (bench.client.secret, bench.client.auth_method) = (None, AuthMethod::None);
    bench.client.client_id = "app".into();
    assert_eq!(bench.ours.takes_credentials(&bench.client).await, Ok(true));
    bench.client.client_id = "nobody".into();
    assert_eq!(bench.ours.takes_credentials(&bench.client).await, Ok(false));
    for (status, error) in [(400, "invalid_request"), (400, "invalid_scope"), (503, "invalid_client")] {
        bench.respond_once(Endpoint::Token, status, &json!({ "error": error }));
        let told = bench.ours.takes_credentials(&bench.client).await;
        assert!(told.is_err(), "{status} {error}: {told:?}");
    }
}
