//! A pool with the ways of Amazon Cognito.

use device_grant_dev_pool::{DevPoolConfig, Endpoint, Overrides, Ways};
use device_grant_domain::pool::{RefreshError, RevokeError, UserPool};
use device_grant_upstream::Manner;
use serde_json::{Value, json};
use url::Url;

use crate::support::Bench;

const POOL: &str = "eu-west-1_Ab12Cd34E";

/// Where its domain is: told, or found by discovery.
async fn bench(tells_domain: bool) -> Bench {
    bench_with(tells_domain, |_| {}).await
}

async fn bench_with(tells_domain: bool, change: impl FnOnce(&mut DevPoolConfig)) -> Bench {
    Bench::with(
        |pool| {
            // The domain is the root of the same origin.
            pool.issuer.set_path(POOL);
            pool.ways = Ways::Cognito;
            change(pool);
        },
        |ours| {
            let mut domain = Url::parse(&ours.issuer).unwrap();
            domain.set_path("/");
            ours.manner = Manner::Cognito { domain: tells_domain.then_some(domain) };
        },
    )
    .await
}

/// UP-09: Cognito lists no PKCE methods and says nothing of `iss`; state, nonce and challenge go along all the same.
#[tokio::test]
async fn a_login_needs_nothing_that_cognito_does_not_have() {
    for tells_domain in [false, true] {
        let bench = bench(tells_domain).await;
        let url = bench.authorize_url().await;
        assert_eq!(url.path(), "/oauth2/authorize");
        for name in ["state", "nonce", "code_challenge"] {
            assert_eq!(url.query_pairs().filter(|pair| pair.0 == name).count(), 1, "{name}");
        }
        assert!(bench.ours.is_from_pool(None).await.unwrap());
        assert!(bench.login().await.is_ok());
        let paths: Vec<_> =
            bench.pool().requests().to(Endpoint::Token).into_iter().map(|request| request.path).collect();
        assert_eq!(paths, ["/oauth2/token"]);
    }
}

/// Of several domains of a pool discovery names one; whoever tells the domain means that one, and needs none in discovery.
#[tokio::test]
async fn the_domain_that_was_told_counts() {
    let bench = bench(true).await;
    bench.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([
            ("authorization_endpoint", json!("http://127.0.0.1:1/oauth2/authorize")),
            ("token_endpoint", Value::Null),
            ("revocation_endpoint", Value::Null),
        ]);
    });
    assert!(bench.login().await.is_ok());
    assert!(bench.ours.facts().unwrap().revokes);
}

/// RT-03: a refresh brings no refresh token where Cognito does not rotate them, and another one where it does; then the old
/// one is over.
#[tokio::test]
async fn refresh_tokens_are_rotated_or_not() {
    let bench = bench(true).await;
    let token = bench.refresh_token().await;
    assert!(bench.refresh(&token).await.unwrap().refresh_token.is_none());

    let rotating = bench_with(true, |pool| pool.rotate_refresh_tokens = true).await;
    let token = rotating.refresh_token().await;
    let next = rotating.refresh(&token).await.unwrap().refresh_token.unwrap();
    assert_ne!(next.expose(), token);
    assert!(matches!(rotating.refresh(&token).await, Err(RefreshError::Refused)));
}

/// RT-14: access tokens are not revoked there, and where revocation is turned off for a client nothing is.
#[tokio::test]
async fn what_cognito_does_not_revoke_is_unsupported() {
    let bench = bench(true).await;
    let tokens = bench.login().await.unwrap().response;
    let revoke = async |token: &str| bench.ours.revoke(&bench.client, token, None).await;
    let access_token = tokens.access_token.expose();
    assert!(matches!(revoke(access_token).await, Err(RevokeError::UnsupportedTokenType)));
    let refresh_token = tokens.refresh_token.unwrap().expose().to_owned();
    assert!(revoke(&refresh_token).await.is_ok());
    assert_eq!(bench.revoked().as_ref(), Some(&refresh_token));
    let turned_off = json!({ "error": "unsupported_token_type" });
    bench.respond_once(Endpoint::Revoke, 400, &turned_off);
    assert!(matches!(revoke(&refresh_token).await, Err(RevokeError::UnsupportedTokenType)));
}

/// Signing out comes back by Cognito's own parameter; there is no other.
#[tokio::test]
async fn signing_out_comes_back_by_logout_uri() {
    let home = Url::parse("https://dg.example/device").unwrap();
    for tells_domain in [false, true] {
        let bench = bench(tells_domain).await;
        let url = bench.ours.end_session_url(&bench.client, &home).await.unwrap();
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let expected = [("client_id", "tv"), ("logout_uri", home.as_str())];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(url.path(), "/logout");
    }
}
