//! Discovery and keys: judged, kept, refreshed.

use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_dev_pool::{CannedResponse, DevPoolConfig, Endpoint, Fault, Overrides};
use device_grant_domain::pool::{PoolFacts, UserPool};
use device_grant_upstream::OidcPool;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use url::Url;

use crate::support::{Bench, exchange, unusable};

/// UP-01: another issuer, another path or a slash more is refused, and the words say what is wrong.
#[tokio::test]
async fn another_issuer_is_refused() {
    let bench = Bench::start().await;
    let own = bench.served.issuer().to_owned();
    for other in [format!("{own}/"), format!("{own}/realm"), "https://evil.example".to_owned()] {
        bench.pool().faults().set(|behaviour| {
            behaviour.discovery = Overrides::from([("issuer", json!(other))]);
        });
        let problem = bench.ours.refresh_if_due().await.unwrap_err();
        assert!(problem.0.contains(&other) && problem.0.contains(&own), "{problem}");
        assert_eq!(bench.ours.facts(), Err(problem));
        bench.advance(3600);
    }
    bench.pool().faults().clear();
    bench.ours.refresh_if_due().await.unwrap();
    assert!(bench.ours.facts().is_ok());
}

/// UP-01: an issuer with a path has its document below that path.
#[tokio::test]
async fn an_issuer_with_a_path_works() {
    let realm =
        |pool: &mut DevPoolConfig| pool.issuer = Url::parse(&format!("{}realms/x", pool.issuer)).unwrap();
    let bench = Bench::with(realm, |_| {}).await;
    assert!(bench.login().await.is_ok());
    let first = bench.pool().requests().all().remove(0);
    assert_eq!(first.path, "/realms/x/.well-known/openid-configuration");
}

/// UP-09: a list of PKCE methods without S256 is a reason to stop.
#[tokio::test]
async fn a_pool_without_s256_is_refused() {
    let bench = Bench::start().await;
    bench.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([("code_challenge_methods_supported", json!(["plain"]))]);
    });
    assert!(bench.ours.refresh_if_due().await.unwrap_err().0.contains("S256"));
    assert!(bench.ours.facts().is_err());
}

/// UP-02: many who come at once cause one fetch of each document, and later ones none.
#[tokio::test]
async fn one_fetch_serves_all() {
    let bench = Bench::start().await;
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let ours = Arc::clone(&bench.ours);
        callers.spawn(async move { ours.is_from_pool(None).await });
    }
    assert!(callers.join_all().await.into_iter().all(|outcome| outcome == Ok(true)));
    for _ in 0..5 {
        bench.login().await.unwrap();
    }
    assert_eq!((bench.count(Endpoint::Discovery), bench.count(Endpoint::Jwks)), (1, 1));
}

/// UP-02: while a refresh fails, or brings a document that is refused, the last good copy serves.
#[tokio::test]
async fn the_last_good_copy_serves_while_a_refresh_fails() {
    let bench = Bench::start().await;
    bench.login().await.unwrap();
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
        bench.pool().faults().clear();
        bench.respond_always(endpoint, 500, &json!({}));
        bench.advance(2 * 3600);
        assert!(bench.ours.refresh_if_due().await.unwrap_err().0.contains("answers 500"));
        assert!(bench.login().await.is_ok());
    }
    bench.pool().faults().clear();
    bench.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([("issuer", json!("https://evil.example"))]);
    });
    bench.advance(3600);
    assert!(bench.ours.refresh_if_due().await.unwrap_err().0.contains("issuer"));
    assert!(bench.ours.facts().is_ok() && bench.login().await.is_ok());
    assert_eq!(bench.count(Endpoint::Discovery), 4);
}

/// UP-02, UP-06: while the pool is away it is asked with pauses, not by every caller.
#[tokio::test]
async fn a_pool_that_is_away_is_not_hammered() {
    let bench = Bench::start().await;
    bench.respond_always(Endpoint::Discovery, 500, &json!({}));
    for _ in 0..20 {
        assert!(bench.ours.is_from_pool(None).await.unwrap_err().0.contains("answers 500"));
    }
    assert_eq!(bench.count(Endpoint::Discovery), 1);
    bench.advance(60);
    bench.pool().faults().clear();
    assert_eq!(bench.ours.is_from_pool(None).await, Ok(true));
}

/// UP-02: whoever starts while the pool is away recovers without being asked, and says meanwhile what is wrong.
#[tokio::test]
async fn keeping_fresh_recovers_by_itself() {
    let bench = Bench::start().await;
    assert!(bench.ours.facts().unwrap_err().0.contains("not been asked"));
    bench.respond_once(Endpoint::Discovery, 500, &json!({}));
    let keys = bench.pool().faults().hold_next(Endpoint::Jwks);
    tokio::select! {
        () = bench.ours.keep_fresh() => unreachable!("it never ends"),
        () = keys.arrived() => {}
    }
    assert_eq!(bench.ours.facts(), Ok(PoolFacts { revokes: true, pairwise_only: false }));
    assert_eq!(bench.count(Endpoint::Discovery), 2);
}

#[tokio::test]
async fn the_facts_are_those_of_the_document() {
    let bench =
        Bench::with(|pool| pool.clients.iter_mut().for_each(|client| client.pairwise = true), |_| {}).await;
    bench.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([("revocation_endpoint", Value::Null)]);
    });
    bench.ours.refresh_if_due().await.unwrap();
    assert_eq!(bench.ours.facts(), Ok(PoolFacts { revokes: false, pairwise_only: true }));
}

/// UP-04, UP-07: documents that are too large, no JSON, or point to unsafe places are refused.
#[tokio::test]
async fn unusable_documents_are_refused() {
    let bench = Bench::start().await;
    let html = CannedResponse::new(200_u16.try_into().unwrap(), "text/html", "<html>MARKER");
    for (endpoint, canned) in [
        (Endpoint::Discovery, html.clone()),
        (Endpoint::Discovery, CannedResponse::oversized(3_000_000)),
        (Endpoint::Jwks, html),
        (Endpoint::Jwks, CannedResponse::oversized(3_000_000)),
        (Endpoint::Jwks, CannedResponse::json(200_u16.try_into().unwrap(), &json!({ "keys": [] }))),
    ] {
        bench.pool().faults().once(endpoint, Fault::Respond(canned));
        let problem = bench.ours.refresh_if_due().await.unwrap_err();
        assert!(!problem.0.contains("MARKER"), "{problem}");
        bench.advance(3600);
    }
    bench.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([("token_endpoint", json!("http://10.0.0.1/token"))]);
    });
    assert!(bench.ours.refresh_if_due().await.unwrap_err().0.contains("token_endpoint"));
}

/// UP-03: a new signing key works without a restart, at the price of one fetch.
#[tokio::test]
async fn a_new_signing_key_works_at_once() {
    let bench = Bench::start().await;
    bench.login().await.unwrap();
    bench.pool().rotate_keys();
    bench.login().await.unwrap();
    bench.login().await.unwrap();
    assert_eq!(bench.count(Endpoint::Jwks), 2);
    bench.advance(11);
    bench.pool().rotate_keys();
    bench.pool().withdraw_old_keys();
    bench.login().await.unwrap();
    assert_eq!(bench.count(Endpoint::Jwks), 3);
}

/// UP-03: a withdrawn key is forgotten with the next refresh.
#[tokio::test]
async fn a_withdrawn_key_is_forgotten() {
    let bench = Bench::start().await;
    let old = bench.login().await.unwrap().response.id_token.unwrap();
    bench.pool().rotate_keys();
    bench.pool().withdraw_old_keys();
    bench.advance(3600);
    bench.ours.refresh_if_due().await.unwrap();
    let body = json!({ "access_token": "a", "id_token": old.expose() });
    bench.respond_once(Endpoint::Token, 200, &body);
    assert!(unusable(bench.exchange("code").await).contains("does not publish"));
}

/// UP-03: a thousand made-up kids cause one fetch, and known keys go on working.
#[tokio::test]
async fn a_flood_of_unknown_kids_is_one_fetch() {
    let bench = Bench::start().await;
    let real = bench.login().await.unwrap().response.id_token.unwrap();
    let (_, rest) = real.expose().split_once('.').unwrap();
    for number in 0..1000 {
        let header = json!({ "alg": "ES256", "kid": format!("bogus-{number}") }).to_string();
        let header = BASE64_URL_SAFE_NO_PAD.encode(header);
        let body = json!({ "access_token": "a", "id_token": format!("{header}.{rest}") });
        bench.respond_once(Endpoint::Token, 200, &body);
    }
    let mut flood = JoinSet::new();
    for _ in 0..1000 {
        let (ours, client) = (Arc::clone(&bench.ours), bench.client.clone());
        flood.spawn(async move { unusable(exchange(&ours, &client, "code").await) });
    }
    assert!(flood.join_all().await.iter().all(|words| words.contains("does not publish")));
    assert_eq!(bench.count(Endpoint::Jwks), 2);
    assert!(bench.login().await.is_ok());
    assert_eq!(bench.count(Endpoint::Jwks), 2);
}

/// UP-03: a failed look for new keys takes no known key away.
#[tokio::test]
async fn a_failed_look_for_keys_forgets_none() {
    let bench = Bench::start().await;
    bench.login().await.unwrap();
    bench.respond_always(Endpoint::Jwks, 500, &json!({}));
    let behave = json!("unknown");
    bench.pool().faults().set(|behaviour| behaviour.id_token_header = Overrides::from([("kid", behave)]));
    assert!(unusable(bench.login().await).contains("answers 500"));
    assert!(bench.revoked().is_some());
    bench.pool().faults().set(|behaviour| behaviour.id_token_header = Overrides::default());
    assert!(bench.login().await.is_ok());
}

/// UP-03: a pool that names no key works, and may have a new one.
#[tokio::test]
async fn a_pool_without_kids_works() {
    let bench = Bench::start().await;
    bench
        .pool()
        .faults()
        .set(|behaviour| behaviour.id_token_header = Overrides::from([("kid", Value::Null)]));
    assert!(bench.login().await.is_ok());
    bench.pool().rotate_keys();
    assert!(bench.login().await.is_ok());
    assert_eq!(bench.count(Endpoint::Jwks), 2);
}

/// Object safety: the server holds the pool behind its port.
#[tokio::test]
async fn the_pool_fits_behind_its_port() {
    let bench = Bench::start().await;
    let port: Arc<dyn UserPool> = Arc::clone(&bench.ours) as Arc<OidcPool>;
    assert_eq!(port.is_from_pool(None).await, Ok(true));
}
