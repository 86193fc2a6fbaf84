//! Revocations, passed on.

use device_grant_dev_pool::{CannedResponse, Endpoint, Fault, Overrides};
use device_grant_domain::pool::{RevokeError, UserPool};
use serde_json::{Value, json};

use crate::support::Bench;

async fn revoke(bench: &Bench, token: &str, hint: Option<&str>) -> Result<(), RevokeError> {
    bench.ours.revoke(&bench.client, token, hint).await
}

/// RT-10: a revoked refresh token is dead at the pool.
#[tokio::test]
async fn a_revocation_reaches_the_pool() {
    let bench = Bench::start().await;
    let token = bench.refresh_token().await;
    revoke(&bench, &token, Some("refresh_token")).await.unwrap();
    assert!(!bench.pool().is_live(&token));
    let sent = bench.pool().requests().to(Endpoint::Revoke).remove(0);
    assert_eq!(sent.form_value("token_type_hint"), Some("refresh_token"));
    assert!(sent.header("authorization").is_some() && sent.form_value("client_secret").is_none());
}

/// RT-11: an unknown token, with whatever hint, is no error; neither is one that is revoked already.
#[tokio::test]
async fn an_unknown_token_is_no_error() {
    let bench = Bench::start().await;
    revoke(&bench, "garbage", Some("banana")).await.unwrap();
    let token = bench.refresh_token().await;
    for _ in 0..2 {
        revoke(&bench, &token, None).await.unwrap();
    }
}

/// RT-13: nothing but the pool's own answer is a success.
#[tokio::test]
async fn a_pool_that_does_not_answer_has_revoked_nothing() {
    let bench = Bench::start().await;
    let token = bench.refresh_token().await;
    bench.pool().faults().once(Endpoint::Revoke, Fault::Drop);
    assert!(matches!(revoke(&bench, &token, None).await, Err(RevokeError::Unavailable(_))));
    for (status, body) in [(500, json!({})), (401, json!({ "error": "invalid_client" })), (302, json!({}))] {
        bench.respond_once(Endpoint::Revoke, status, &body);
        assert!(matches!(revoke(&bench, &token, None).await, Err(RevokeError::Unavailable(_))), "{status}");
    }
    let throttled = CannedResponse::json(429_u16.try_into().unwrap(), &json!({})).header("retry-after", "30");
    bench.pool().faults().once(Endpoint::Revoke, Fault::Respond(throttled));
    for _ in 0..3 {
        assert!(matches!(revoke(&bench, &token, None).await, Err(RevokeError::Unavailable(_))));
    }
    bench.advance(30);
    bench.served.refuse_connections().await;
    assert!(matches!(revoke(&bench, &token, None).await, Err(RevokeError::Unavailable(_))));
    bench.served.accept_connections().await.unwrap();
    assert!(bench.pool().is_live(&token), "the token still works");
    revoke(&bench, &token, None).await.unwrap();
}

/// RT-14: what the pool does not revoke is said so, and a pool without the endpoint is not asked.
#[tokio::test]
async fn what_cannot_be_revoked_is_said_so() {
    let bench = Bench::start().await;
    let access = bench.login().await.unwrap().response.access_token;
    let outcome = revoke(&bench, access.expose(), None).await;
    assert!(matches!(outcome, Err(RevokeError::UnsupportedTokenType)));

    let bare = Bench::start().await;
    bare.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([("revocation_endpoint", Value::Null)]);
    });
    assert!(matches!(revoke(&bare, "token", None).await, Err(RevokeError::UnsupportedTokenType)));
    assert!(!bare.ours.facts().unwrap().revokes);
    assert_eq!(bare.count(Endpoint::Revoke), 0);
}

/// RT-13: a pool that was never seen cannot say that it has no such endpoint.
#[tokio::test]
async fn a_pool_that_was_never_seen_is_unavailable() {
    let bench = Bench::start().await;
    bench.respond_always(Endpoint::Discovery, 500, &json!({}));
    assert!(matches!(revoke(&bench, "token", None).await, Err(RevokeError::Unavailable(_))));
}
