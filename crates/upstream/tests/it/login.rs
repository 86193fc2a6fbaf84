//! A sign-in through the pool: authorization URL, callback, exchange.

use device_grant_dev_pool::{Endpoint, Overrides};
use device_grant_domain::policy::FreshPrompt;
use device_grant_domain::pool::{Account, ExchangeError, UserPool};
use device_grant_protocol::AuthMethod;
use serde_json::{Value, json};
use url::Url;

use crate::support::{Bench, CALLBACK, SECRET, VERIFIER, unreachable, unusable};

#[tokio::test]
async fn a_sign_in_brings_tokens_and_the_account() {
    let bench = Bench::start().await;
    let tokens = bench.login().await.unwrap();
    assert_eq!(
        tokens.account,
        Account {
            id: "dev-alice".into(),
            name: "Alice Example".into(),
            detail: Some("alice@example.com".into()),
        }
    );
    assert_eq!((tokens.response.token_type.as_str(), tokens.response.expires_in), ("Bearer", Some(3600)));
    let access = tokens.response.access_token.expose();
    assert!(bench.pool().is_live(access) && tokens.response.id_token.is_some());
}

#[tokio::test]
async fn a_pool_with_a_sign_out_is_asked_to_sign_out() {
    let bench = Bench::start().await;
    let home = Url::parse("https://dg.example/device").unwrap();
    let url = bench.ours.end_session_url(&bench.client, &home).await.unwrap();
    assert!(url.as_str().starts_with(&format!("{}/logout?client_id=tv&", bench.served.issuer())), "{url}");
    let bench = Bench::with(|_| {}, |ours| ours.signs_out = false).await;
    assert_eq!(bench.ours.end_session_url(&bench.client, &home).await, None);
}

/// UP-10: the endpoint's own query is kept.
#[tokio::test]
async fn the_endpoints_own_query_is_kept() {
    let bench = Bench::start().await;
    let endpoint = format!("{}/authorize?tenant=1", bench.served.issuer());
    bench.pool().faults().set(|behaviour| {
        behaviour.discovery = Overrides::from([("authorization_endpoint", json!(endpoint))]);
    });
    let code = bench.code().await;
    let request = bench.pool().requests().to(Endpoint::Authorize).remove(0);
    assert_eq!(request.query_value("tenant"), Some("1"));
    assert!(bench.exchange(&code).await.is_ok());
}

/// CB-04: `iss` is the issuer or it is refused; without one a pool that promised it is not believed.
#[tokio::test]
async fn the_issuer_of_a_callback_is_checked() {
    for promised in [false, true] {
        let bench = Bench::with(|pool| pool.issuer_on_callback = promised, |_| {}).await;
        let issuer = bench.served.issuer().to_owned();
        let from_pool = async |iss: Option<&str>| bench.ours.is_from_pool(iss).await.unwrap();
        assert!(from_pool(Some(&issuer)).await);
        assert!(!from_pool(Some(&format!("{issuer}/"))).await);
        assert!(!from_pool(Some("https://evil.example")).await);
        assert!(!from_pool(Some("")).await);
        assert_eq!(from_pool(None).await, !promised);
    }
}

/// CB-09: the verifier goes to the token endpoint and nowhere else; the browser carries its S256 challenge.
#[tokio::test]
async fn the_verifier_goes_to_the_token_endpoint_only() {
    let bench = Bench::start().await;
    bench.login().await.unwrap();
    for request in bench.pool().requests().all() {
        let in_form = request.form.iter().filter(|pair| pair.1.contains(VERIFIER)).count();
        let elsewhere = request.query.iter().chain(&request.headers).any(|pair| pair.1.contains(VERIFIER));
        assert_eq!(in_form, usize::from(request.endpoint() == Some(Endpoint::Token)), "{}", request.path);
        assert!(!elsewhere, "{}", request.path);
    }
    let authorize = bench.pool().requests().to(Endpoint::Authorize).remove(0);
    assert_eq!(authorize.query_value("code_challenge_method"), Some("S256"));
    assert_eq!(authorize.query_value("code_challenge"), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
}

/// CB-10: code, verifier, the same `redirect_uri` and the credentials, once each, in the configured way; the strict
/// pool takes a secret with `+`, `/`, `:` and `%`.
#[tokio::test]
async fn the_exchange_sends_everything_once() {
    for method in [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost, AuthMethod::None] {
        let mut bench = Bench::start().await;
        bench.client.auth_method = method;
        if method == AuthMethod::None {
            (bench.client.client_id, bench.client.secret) = ("app".into(), None);
        }
        let code = bench.code().await;
        bench.exchange(&code).await.unwrap();
        let authorize = bench.pool().requests().to(Endpoint::Authorize).remove(0);
        assert_eq!(authorize.query_value("redirect_uri"), Some(CALLBACK));
        let request = bench.pool().requests().to(Endpoint::Token).remove(0);
        let mut expected = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        match method {
            AuthMethod::ClientSecretBasic => {}
            AuthMethod::ClientSecretPost => expected.extend([("client_id", "tv"), ("client_secret", SECRET)]),
            AuthMethod::PrivateKeyJwt | AuthMethod::None => expected.push(("client_id", "app")),
        }
        let form: Vec<_> = request.form.iter().map(|pair| (pair.0.as_str(), pair.1.as_str())).collect();
        assert_eq!(form, expected);
        let has_header = request.header("authorization").is_some();
        assert_eq!(has_header, method == AuthMethod::ClientSecretBasic);
    }
}

/// UP-06: a code that the pool refuses is refused, and not tried again.
#[tokio::test]
async fn a_used_code_is_refused() {
    let bench = Bench::start().await;
    let code = bench.code().await;
    bench.exchange(&code).await.unwrap();
    assert!(matches!(bench.exchange(&code).await, Err(ExchangeError::Refused)));
    assert!(matches!(bench.exchange("unknown").await, Err(ExchangeError::Refused)));
    assert_eq!(bench.count(Endpoint::Token), 3);
}

/// UP-08, RT-05: who is to blame decides what becomes of the code, and the pool's words stay here.
#[tokio::test]
async fn errors_of_the_exchange_are_told_apart() {
    let bench = Bench::start().await;
    bench.ours.refresh_if_due().await.unwrap();
    for (status, code, may_still_be_good) in [
        (400, "invalid_client", false),
        (401, "invalid_client", false),
        (400, "unauthorized_client", false),
        (400, "invalid_request", false),
        (400, "MARKER", false),
        (404, "MARKER", false),
        (500, "MARKER", true),
        (500, "invalid_grant", true),
        (502, "MARKER", true),
    ] {
        let body =
            json!({ "error": code, "error_description": "MARKER", "error_uri": "https://MARKER.example" });
        bench.respond_once(Endpoint::Token, status, &body);
        let outcome = bench.exchange("code").await;
        let words = if may_still_be_good { unreachable(outcome) } else { unusable(outcome) };
        assert!(!words.contains("MARKER"), "{words}");
    }
    assert_eq!(bench.count(Endpoint::Token), 9);
}

/// The account claim names the person; where it is missing the words say what to mend, and the tokens are revoked.
#[tokio::test]
async fn the_account_claim_decides_who_it_is() {
    let bench = Bench::with(
        |pool| {
            pool.users[0].claims.insert("oid".into(), json!("object-1"));
        },
        |ours| ours.account_claim = "oid".into(),
    )
    .await;
    assert_eq!(bench.login().await.unwrap().account.id, "object-1");
    bench
        .pool()
        .faults()
        .set(|behaviour| behaviour.id_token_claims = Overrides::from([("oid", Value::Null)]));
    let words = unusable(bench.login().await);
    assert!(words.contains("\"oid\"") && words.contains("account_claim"), "{words}");
    assert!(bench.revoked().is_some());
}

/// SEC-14: how a fresh sign-in is asked for is the configuration's.
#[tokio::test]
async fn a_fresh_sign_in_is_asked_for_as_the_pool_takes_it() {
    for (fresh, expected) in [(FreshPrompt::Login, "login"), (FreshPrompt::SelectAccount, "select_account")] {
        let bench = Bench::with(|_| {}, |ours| ours.fresh_prompt = fresh).await;
        let prompt =
            |url: Url| url.query_pairs().find(|pair| pair.0 == "prompt").map(|pair| pair.1.into_owned());
        assert_eq!(prompt(bench.way_to_sign_in(true).await).as_deref(), Some(expected));
        assert_eq!(prompt(bench.way_to_sign_in(false).await), None);
    }
}
