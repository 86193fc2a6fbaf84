//! `/token` and `/revoke`.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, CALLBACK, SECRET, VERIFIER, jws_part, refusal};

#[tokio::test]
async fn a_replayed_code_kills_the_tokens_of_its_first_use() {
    let bench = Bench::start().await;
    let code = bench.code("tv").await;
    let tokens: Value = bench.exchange("tv", &code).await.json().await.unwrap();
    let other = bench.tokens("tv").await;
    assert!(bench.is_live(&tokens["access_token"]) && bench.is_live(&tokens["refresh_token"]));

    assert_eq!(refusal(bench.exchange("tv", &code).await).await, (400, "invalid_grant".into()));
    assert!(!bench.is_live(&tokens["access_token"]) && !bench.is_live(&tokens["refresh_token"]));
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(refusal(bench.refresh("tv", refresh_token).await).await, (400, "invalid_grant".into()));
    assert!(bench.is_live(&other["refresh_token"]));
}

#[tokio::test]
async fn a_wrong_verifier_spends_the_code() {
    let bench = Bench::start().await;
    let code = bench.code("tv").await;
    let wrong = VERIFIER.replace('d', "e");
    assert_eq!(refusal(bench.exchange_with("tv", &code, &wrong).await).await, (400, "invalid_grant".into()));
    assert_eq!(refusal(bench.exchange("tv", &code).await).await, (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_code_is_good_for_its_own_client_until_it_expires() {
    let bench = Bench::start().await;
    let code = bench.code("tv").await;
    assert_eq!(refusal(bench.exchange("app", &code).await).await, (400, "invalid_grant".into()));
    let late = bench.code("tv").await;
    assert_eq!(bench.served.pool().config().code_lifetime, Duration::from_mins(1));
    bench.clock.advance(Duration::from_millis(59_999));
    assert_eq!(bench.exchange("tv", &code).await.status(), 200);
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(refusal(bench.exchange("tv", &late).await).await, (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_refresh_without_rotation_keeps_the_refresh_token() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("tv").await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    for _ in 0..2 {
        let fresh: Value = bench.refresh("tv", refresh_token).await.json().await.unwrap();
        assert!(fresh.get("refresh_token").is_none());
        assert_ne!(fresh["access_token"], tokens["access_token"]);
        assert_eq!(jws_part(&fresh["id_token"], 1)["sub"], "dev-alice");
        assert_eq!(jws_part(&fresh["id_token"], 1).get("nonce"), None);
    }
    assert_eq!(refusal(bench.refresh("app", refresh_token).await).await, (400, "invalid_grant".into()));
    bench.clock.advance(bench.served.pool().config().refresh_token_lifetime);
    assert_eq!(refusal(bench.refresh("tv", refresh_token).await).await, (400, "invalid_grant".into()));
}

#[tokio::test]
async fn use_of_a_rotated_refresh_token_ends_the_grant() {
    let bench = Bench::with(|config| config.rotate_refresh_tokens = true).await;
    let first = bench.tokens("app").await;
    let first = first["refresh_token"].as_str().unwrap();
    let second: Value = bench.refresh("app", first).await.json().await.unwrap();
    let second = second["refresh_token"].as_str().unwrap();
    let third: Value = bench.refresh("app", second).await.json().await.unwrap();
    assert!(bench.is_live(&third["refresh_token"]) && bench.is_live(&third["access_token"]));

    assert_eq!(refusal(bench.refresh("app", first).await).await, (400, "invalid_grant".into()));
    assert!(!bench.is_live(&third["refresh_token"]) && !bench.is_live(&third["access_token"]));
}

#[tokio::test]
async fn a_refresh_may_ask_for_less_scope_but_not_for_more() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("tv").await;
    let form = |scope| {
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
            ("scope", scope),
        ]
    };
    let more = bench.post("/token", "tv", &form("openid profile email")).send().await.unwrap();
    assert_eq!(refusal(more).await, (400, "invalid_scope".into()));
    let less: Value =
        bench.post("/token", "tv", &form("profile")).send().await.unwrap().json().await.unwrap();
    assert_eq!(less["scope"], "profile");
    assert!(less.get("id_token").is_none());
}

#[tokio::test]
async fn a_client_proves_itself_in_exactly_one_way() {
    let bench = Bench::start().await;
    let grant = ("grant_type", "refresh_token");
    let token = ("refresh_token", "unknown");
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let post = |form: &[(&str, &str)]| bench.http.post(bench.url("/token")).form(&form.to_vec());
    let invalid_client = (401, "invalid_client".to_owned());
    // An authenticated client gets as far as its unknown token.
    let authenticated = (400, "invalid_grant".to_owned());
    let invalid_request = (400, "invalid_request".to_owned());
    let (tv, app) = (("client_id", "tv"), ("client_id", "app"));
    for (request, expected) in [
        (post(&[grant, token]).basic_auth("tv", Some(&encoded)), &authenticated),
        (post(&[grant, token, tv]).basic_auth("tv", Some(&encoded)), &authenticated),
        (post(&[grant, token, tv, ("client_secret", SECRET)]), &authenticated),
        (post(&[grant, token, app]), &authenticated),
        (post(&[grant, token]).basic_auth("tv", Some(SECRET)), &invalid_client),
        (post(&[grant, token]).basic_auth("tv", Some("wrong")), &invalid_client),
        (post(&[grant, token]).bearer_auth("tv"), &invalid_client),
        (post(&[grant, token]), &invalid_client),
        (post(&[grant, token, tv]), &invalid_client),
        (post(&[grant, token, app, ("client_secret", "any")]), &invalid_client),
        (post(&[grant, token, app]).basic_auth("tv", Some(&encoded)), &invalid_request),
        (post(&[grant, token, ("client_secret", SECRET)]).basic_auth("tv", Some(&encoded)), &invalid_request),
        (post(&[grant, token, app, app]), &invalid_request),
        (bench.http.post(bench.url("/token")).json("client_id=app"), &invalid_request),
        (post(&[app]), &invalid_request),
        (post(&[app, ("grant_type", "password")]), &(400, "unsupported_grant_type".to_owned())),
    ] {
        assert_eq!(&refusal(request.send().await.unwrap()).await, expected);
    }
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_its_grant() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("tv").await;
    let revoke = |client: &'static str, token: Value| {
        let token = token.as_str().unwrap().to_owned();
        let request = bench.post("/revoke", client, &[("token", &token), ("token_type_hint", "banana")]);
        async move { request.send().await.unwrap() }
    };
    assert_eq!(revoke("tv", "garbage".into()).await.status(), 200);
    let stolen = revoke("app", tokens["refresh_token"].clone()).await;
    assert_eq!(refusal(stolen).await, (400, "unauthorized_client".into()));
    let access = revoke("tv", tokens["access_token"].clone()).await;
    assert_eq!(refusal(access).await, (400, "unsupported_token_type".into()));
    assert!(bench.is_live(&tokens["refresh_token"]) && bench.is_live(&tokens["access_token"]));

    assert_eq!(revoke("tv", tokens["refresh_token"].clone()).await.status(), 200);
    assert!(!bench.is_live(&tokens["refresh_token"]) && !bench.is_live(&tokens["access_token"]));
    let missing = bench.post("/revoke", "tv", &[("token", "")]).send().await.unwrap();
    assert_eq!(refusal(missing).await, (400, "invalid_request".into()));
}

#[tokio::test]
async fn a_pool_may_revoke_access_tokens_alone() {
    let bench = Bench::with(|config| config.revoke_access_tokens = true).await;
    let tokens = bench.tokens("tv").await;
    let form = [("token", tokens["access_token"].as_str().unwrap())];
    assert_eq!(bench.post("/revoke", "tv", &form).send().await.unwrap().status(), 200);
    assert!(!bench.is_live(&tokens["access_token"]) && bench.is_live(&tokens["refresh_token"]));
}

#[tokio::test]
async fn the_log_has_what_was_sent_and_its_debug_form_has_no_secret() {
    let bench = Bench::start().await;
    let code = bench.code("tv").await;
    bench.served.pool().requests().clear();
    bench.exchange("tv", &code).await;
    let log = bench.served.pool().requests().all();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].method.as_str(), log[0].path.as_str()), ("POST", "/token"));
    assert_eq!(log[0].form_value("redirect_uri"), Some(CALLBACK));
    assert_eq!(log[0].form_value("code"), Some(code.as_str()));
    assert!(log[0].header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(log[0].at.as_secs(), 1_767_225_600);
    let shown = format!("{log:?}{:?}", bench.served.pool().config());
    assert!(!shown.contains(&code) && !shown.contains("Basic ") && !shown.contains(SECRET));
}
