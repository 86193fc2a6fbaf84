use axum::http::{Method, StatusCode, header};
use device_grant_dev_pool::{CannedResponse, DevPoolConfig, Endpoint, Fault, LoggedRequest, Overrides};
use device_grant_protocol::GRANT_TYPE_DEVICE_CODE;
use serde_json::{Value, json};

use super::app::*;
use super::browser::{Browser, outcome};
use super::metadata::{Discovery, fresh_replica};

/// Sends `form` as `client`: a public one names itself, a confidential one shows its secret.
async fn send_as(app: &TestApp, client: &str, path: &str, form: &[(&str, &str)]) -> Answer {
    if matches!(client, CONSOLE | SPEAKER) {
        return app.send(with_basic(post(path, form), client, SECRET)).await;
    }
    app.post(path, &[form, &[("client_id", client)]].concat()).await
}

async fn refresh(app: &TestApp, client: &str, token: &str) -> Answer {
    send_as(app, client, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn revoke(app: &TestApp, client: &str, token: &str) -> Answer {
    send_as(app, client, "/revoke", &[("token", token)]).await
}

/// What `client` gets after alice has approved.
async fn approved(app: &TestApp, client: &str) -> Value {
    let started = send_as(app, client, "/device_authorization", &[("scope", "openid profile")]).await;
    let codes = codes(&started);
    assert_eq!(outcome(&Browser::alice(app).approve(&codes).await), "approved");
    let poll = [("grant_type", GRANT_TYPE_DEVICE_CODE), ("device_code", codes.device_code.as_str())];
    let answer = send_as(app, client, "/token", &poll).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

async fn refresh_token_of(app: &TestApp, client: &str) -> String {
    refresh_token(&approved(app, client).await)
}

fn refresh_token(tokens: &Value) -> String {
    tokens["refresh_token"].as_str().unwrap().to_owned()
}

/// What reached the pool's token endpoint for a refresh.
fn refreshes(app: &TestApp) -> Vec<LoggedRequest> {
    let all = app.dev_pool().requests().to(Endpoint::Token);
    all.into_iter().filter(|logged| logged.form_value("grant_type") == Some("refresh_token")).collect()
}

fn rotating() -> Options {
    Options {
        pool: Box::new(|pool: &mut DevPoolConfig| pool.rotate_refresh_tokens = true),
        ..Options::default()
    }
}

#[track_caller]
fn assert_unavailable(answer: &Answer, why: &str) {
    let heard = (answer.status.as_u16(), answer.error());
    assert_eq!(heard, (503, "temporarily_unavailable".to_owned()), "{why}");
    assert!(answer.headers.contains_key(header::RETRY_AFTER), "{why}");
}

/// RT-01: a refresh is passed on for a public and for a confidential client, each under its pool client; the answer
/// keeps the pool's values and is `no-store`.
#[tokio::test]
async fn a_refresh_is_passed_on() {
    let app = TestApp::new().await;
    for (client, pool_client) in [(TV, "service"), (SPEAKER, "service"), (CONSOLE, CONSOLE)] {
        let first = approved(&app, client).await;
        app.dev_pool().faults().set(|faults| {
            faults.token_response = Overrides::from([("expires_in", json!(77)), ("scope", json!("openid"))]);
        });
        let answer = refresh(&app, client, &refresh_token(&first)).await;
        app.dev_pool().faults().clear();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(
            (answer.header(header::CACHE_CONTROL), answer.header(header::PRAGMA)),
            ("no-store", "no-cache")
        );
        let body = answer.json();
        assert_eq!(
            (&body["expires_in"], &body["scope"], &body["token_type"]),
            (&json!(77), &json!("openid"), &json!("Bearer"))
        );
        let access_token = body["access_token"].as_str().unwrap();
        assert!(app.dev_pool().is_live(access_token) && first["access_token"] != access_token);
        let sent = refreshes(&app).pop().unwrap();
        let expected = with_basic(post("/", &[]), pool_client, pool_secret(pool_client));
        assert_eq!(sent.header("authorization").unwrap(), expected.headers()[header::AUTHORIZATION]);
    }
}

fn pool_secret(pool_client: &str) -> &'static str {
    if pool_client == "service" { "service-secret" } else { SECRET }
}

/// RT-01: without a refresh token, or without proof of who asks, nothing is passed on.
#[tokio::test]
async fn an_incomplete_refresh_is_refused() {
    let app = TestApp::new().await;
    let token = refresh_token_of(&app, SPEAKER).await;
    let grant = ("grant_type", "refresh_token");
    for form in [&[grant][..], &[grant, ("refresh_token", "")]] {
        assert_eq!(send_as(&app, SPEAKER, "/token", form).await.error(), "invalid_request");
        assert_eq!(send_as(&app, TV, "/token", form).await.error(), "invalid_request");
    }
    let token = ("refresh_token", token.as_str());
    assert_eq!(app.post("/token", &[grant, token]).await.error(), "invalid_request");
    let unproven = app.post("/token", &[grant, token, ("client_id", SPEAKER)]).await;
    assert_eq!((unproven.status.as_u16(), unproven.error().as_str()), (401, "invalid_client"));
    let wrong = app.send(with_basic(post("/token", &[grant, token]), SPEAKER, "wrong")).await;
    assert_eq!((wrong.status.as_u16(), wrong.error().as_str()), (401, "invalid_client"));
    let barred = app.post("/token", &[grant, token, ("client_id", BARRED)]).await;
    assert_eq!(barred.error(), "unauthorized_client");
    assert!(refreshes(&app).is_empty());
}

/// RT-02: a refresh token works for the client it was handed to, though all of them share one pool client; nobody
/// else's try reaches the pool, and the owner's still works.
#[tokio::test]
async fn a_refresh_token_belongs_to_its_client() {
    let app = TestApp::new().await;
    let (of_tv, of_console) = (refresh_token_of(&app, TV).await, refresh_token_of(&app, CONSOLE).await);
    for stranger in [OTHER, SPEAKER] {
        assert_eq!(refresh(&app, stranger, &of_tv).await.error(), "invalid_grant");
        assert_eq!(refresh(&app, stranger, &of_console).await.error(), "invalid_grant");
    }
    assert!(refreshes(&app).is_empty());
    assert_eq!(refresh(&app, CONSOLE, &of_tv).await.error(), "invalid_grant");
    assert_eq!(refresh(&app, TV, &of_tv).await.status, StatusCode::OK);
    assert_eq!(refresh(&app, CONSOLE, &of_console).await.status, StatusCode::OK);
}

/// RT-02: through the shared pool client the device never sees the pool's own token, and that token is no good here;
/// through its own it gets the token as it is.
#[tokio::test]
async fn tokens_of_the_shared_pool_client_are_sealed() {
    let app = TestApp::new().await;
    let sealed = refresh_token_of(&app, TV).await;
    assert!(!app.dev_pool().is_live(&sealed));
    refresh(&app, TV, &sealed).await;
    let own = refreshes(&app).pop().unwrap().form_value("refresh_token").unwrap().to_owned();
    assert!(app.dev_pool().is_live(&own));
    for client in [TV, OTHER, SPEAKER] {
        assert_eq!(refresh(&app, client, &own).await.error(), "invalid_grant", "{client}");
    }
    let mut changed = sealed.clone().into_bytes();
    let last = changed.last_mut().unwrap();
    *last = if *last == b'A' { b'Q' } else { b'A' };
    assert_eq!(refresh(&app, TV, std::str::from_utf8(&changed).unwrap()).await.error(), "invalid_grant");
    let verbatim = refresh_token_of(&app, CONSOLE).await;
    assert!(app.dev_pool().is_live(&verbatim));
}

/// RT-03: a rotated refresh token is passed on and works; the old one is not kept alive by anything of ours.
#[tokio::test]
async fn a_rotated_refresh_token_is_passed_on() {
    let app = TestApp::with(rotating()).await;
    for client in [TV, CONSOLE] {
        let old = refresh_token_of(&app, client).await;
        let new = refresh_token(&refresh(&app, client, &old).await.json());
        assert_ne!(new, old);
        let newer = refresh_token(&refresh(&app, client, &new).await.json());
        let asked = refreshes(&app).len();
        assert_eq!(refresh(&app, client, &new).await.error(), "invalid_grant");
        assert_eq!(refreshes(&app).len(), asked + 1, "the pool decided, not a memory of ours");
        assert_eq!(
            refresh(&app, client, &newer).await.error(),
            "invalid_grant",
            "the pool saw a spent token"
        );
    }
}

/// RT-03: without rotation the member is absent, and the old refresh token stays good; every refresh is a new one.
#[tokio::test]
async fn without_rotation_the_old_refresh_token_stays_good() {
    let app = TestApp::new().await;
    for client in [TV, CONSOLE] {
        let token = refresh_token_of(&app, client).await;
        let (first, second) = (refresh(&app, client, &token).await, refresh(&app, client, &token).await);
        for answer in [&first, &second] {
            assert!(answer.json().get("refresh_token").is_none(), "{}", answer.text);
            assert!(!answer.text.contains("null"));
        }
        assert_ne!(first.json()["access_token"], second.json()["access_token"]);
    }
    assert_eq!(refreshes(&app).len(), 4);
}

/// RT-04: a refresh that may have reached the pool is sent once, and the device is told to come back.
#[tokio::test]
async fn a_refresh_is_never_sent_twice() {
    let app = TestApp::with(rotating()).await;
    for fault in [Fault::Drop, Fault::DropAnswer] {
        let token = refresh_token_of(&app, TV).await;
        let before = refreshes(&app).len();
        app.dev_pool().faults().once(Endpoint::Token, fault.clone());
        assert_unavailable(&refresh(&app, TV, &token).await, &format!("{fault:?}"));
        assert_eq!(refreshes(&app).len(), before + 1, "{fault:?}");
    }
}

/// RT-05: no fault of the pool or of ours costs a device its refresh token: each is a 503, and the same token works
/// again.
#[tokio::test]
async fn faults_cost_no_refresh_token() {
    let app = TestApp::new().await;
    let answer =
        |status: u16, body: Value| CannedResponse::json(StatusCode::from_u16(status).unwrap(), &body);
    let faults = [
        ("500", answer(500, json!({"error": "invalid_grant"}))),
        ("502", CannedResponse::new(StatusCode::BAD_GATEWAY, "text/html", "<h1>Bad gateway</h1>")),
        ("503", answer(503, json!({})).header("retry-after", "3")),
        ("429", answer(429, json!({"error": "too_many"})).header("retry-after", "3")),
        ("no JSON", CannedResponse::new(StatusCode::OK, "application/json", "{\"access_token\":")),
        ("a page", CannedResponse::new(StatusCode::OK, "text/html", "<h1>Welcome</h1>")),
        ("no access token", answer(200, json!({"token_type": "Bearer"}))),
        ("our secret is wrong", answer(401, json!({"error": "invalid_client"}))),
        ("our grant is off", answer(400, json!({"error": "unauthorized_client"}))),
        ("our request is wrong", answer(400, json!({"error": "invalid_request"}))),
        ("an unknown error", answer(400, json!({"error": "mystery"}))),
        ("a page that says no", CannedResponse::new(StatusCode::BAD_REQUEST, "text/html", "invalid_grant")),
        ("an endless answer", CannedResponse::oversized(2 << 20)),
    ];
    for client in [TV, CONSOLE] {
        let token = refresh_token_of(&app, client).await;
        for (why, fault) in &faults {
            app.dev_pool().faults().once(Endpoint::Token, Fault::Respond(fault.clone()));
            assert_unavailable(&refresh(&app, client, &token).await, why);
            app.advance(5);
            assert_eq!(refresh(&app, client, &token).await.status, StatusCode::OK, "after {why}");
        }
    }
}

/// RT-05: nor does a pool that cannot be reached.
#[tokio::test]
async fn a_pool_that_is_away_costs_no_refresh_token() {
    let app = TestApp::new().await;
    let token = refresh_token_of(&app, TV).await;
    app.pool.refuse_connections().await;
    assert_unavailable(&refresh(&app, TV, &token).await, "no connection");
    app.pool.accept_connections().await.unwrap();
    assert_eq!(refresh(&app, TV, &token).await.status, StatusCode::OK);
}

/// RT-05: the pool's own `invalid_grant` is passed on as such.
#[tokio::test]
async fn the_pools_own_refusal_is_the_devices() {
    let app = TestApp::new().await;
    let token = refresh_token_of(&app, TV).await;
    let refusal = CannedResponse::json(
        StatusCode::BAD_REQUEST,
        &json!({"error": "invalid_grant", "error_description": "the \"pool's\" own words"}),
    );
    app.dev_pool().faults().once(Endpoint::Token, Fault::Respond(refusal));
    let answer = refresh(&app, TV, &token).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    assert!(!answer.text.contains("own words"));
}

/// RT-06: a refresh may ask for less than was granted and not for more.
#[tokio::test]
async fn a_refresh_may_ask_for_less() {
    let app = TestApp::new().await;
    for client in [TV, CONSOLE] {
        let token = refresh_token_of(&app, client).await;
        let ask = async |scope: &str| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", &*token), ("scope", scope)];
            send_as(&app, client, "/token", &form).await
        };
        for more in ["openid profile email", "admin", "open\"id"] {
            assert_eq!(ask(more).await.error(), "invalid_scope", "{more}");
        }
        assert_eq!(ask("openid").await.json()["scope"], "openid");
    }
}

/// RT-10: a revocation is passed on under the right pool client; afterwards the refresh token is dead.
#[tokio::test]
async fn a_revocation_is_passed_on() {
    let app = TestApp::new().await;
    for client in [TV, SPEAKER, CONSOLE] {
        let token = refresh_token_of(&app, client).await;
        assert_eq!(refresh(&app, client, &token).await.status, StatusCode::OK);
        let own = refreshes(&app).pop().unwrap().form_value("refresh_token").unwrap().to_owned();
        let answer = revoke(&app, client, &token).await;
        assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (StatusCode::OK, "no-store"));
        assert!(!app.dev_pool().is_live(&own), "{client}");
        assert_eq!(refresh(&app, client, &token).await.error(), "invalid_grant");
    }
}

/// RT-10: what is incomplete or unproven revokes nothing, and only POST does.
#[tokio::test]
async fn an_incomplete_revocation_is_refused() {
    let app = TestApp::new().await;
    let token = refresh_token_of(&app, SPEAKER).await;
    for client in [TV, SPEAKER] {
        assert_eq!(send_as(&app, client, "/revoke", &[]).await.error(), "invalid_request");
        assert_eq!(send_as(&app, client, "/revoke", &[("token", "")]).await.error(), "invalid_request");
    }
    let token_only = [("token", token.as_str())];
    assert_eq!(app.post("/revoke", &token_only).await.error(), "invalid_request");
    let unproven = [
        post("/revoke", &[token_only[0], ("client_id", SPEAKER)]),
        with_basic(post("/revoke", &token_only), SPEAKER, "wrong"),
    ];
    for request in unproven {
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"));
        assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Basic realm="));
    }
    let by_get = app.send(request(Method::GET, &format!("/revoke?token={token}&client_id={TV}"))).await;
    assert_eq!(by_get.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refresh(&app, SPEAKER, &token).await.status, StatusCode::OK, "nothing was revoked");
}

/// RT-11: a token that nobody knows, or that is revoked already, is no error, and a strange hint says nothing.
#[tokio::test]
async fn unknown_tokens_are_revoked_already() {
    let app = TestApp::new().await;
    for client in [TV, CONSOLE] {
        let strange = [("token", "garbage"), ("token_type_hint", "banana")];
        assert_eq!(send_as(&app, client, "/revoke", &strange).await.status, StatusCode::OK, "{client}");
        let token = refresh_token_of(&app, client).await;
        let hinted = [("token", token.as_str()), ("token_type_hint", "banana")];
        for _ in 0..2 {
            assert_eq!(send_as(&app, client, "/revoke", &hinted).await.status, StatusCode::OK, "{client}");
        }
        assert_eq!(refresh(&app, client, &token).await.error(), "invalid_grant", "the hint was ignored");
        let misleading = refresh_token_of(&app, client).await;
        let hinted = [("token", misleading.as_str()), ("token_type_hint", "access_token")];
        assert_eq!(send_as(&app, client, "/revoke", &hinted).await.status, StatusCode::OK, "{client}");
        assert_eq!(refresh(&app, client, &misleading).await.error(), "invalid_grant");
    }
}

/// RT-12: nobody revokes another client's token.
#[tokio::test]
async fn a_client_cannot_revoke_anothers_token() {
    let app = TestApp::new().await;
    let tokens = [(TV, refresh_token_of(&app, TV).await), (CONSOLE, refresh_token_of(&app, CONSOLE).await)];
    for (owner, token) in &tokens {
        for stranger in [TV, OTHER, SPEAKER, CONSOLE].into_iter().filter(|stranger| stranger != owner) {
            revoke(&app, stranger, token).await;
            assert_eq!(
                refresh(&app, owner, token).await.status,
                StatusCode::OK,
                "{stranger} against {owner}"
            );
        }
    }
}

/// RT-13: a pool that cannot be reached, or fails, is a 503 and never a 200; the token still works afterwards.
#[tokio::test]
async fn a_revocation_is_not_claimed_without_the_pool() {
    let app = TestApp::new().await;
    for client in [TV, CONSOLE] {
        let token = refresh_token_of(&app, client).await;
        app.pool.refuse_connections().await;
        assert_unavailable(&revoke(&app, client, &token).await, "no connection");
        app.pool.accept_connections().await.unwrap();
        let failing = CannedResponse::json(StatusCode::SERVICE_UNAVAILABLE, &json!({}));
        for fault in [Fault::Drop, Fault::Respond(failing)] {
            app.dev_pool().faults().once(Endpoint::Revoke, fault.clone());
            assert_unavailable(&revoke(&app, client, &token).await, &format!("{fault:?}"));
            app.advance(5);
        }
        assert_eq!(refresh(&app, client, &token).await.status, StatusCode::OK);
        assert_eq!(revoke(&app, client, &token).await.status, StatusCode::OK);
    }
}

/// RT-14: `unsupported_token_type` is passed on; on the shared pool client access tokens are never ours to revoke.
#[tokio::test]
async fn access_tokens_are_not_revoked_by_a_pool_that_cannot() {
    let app = TestApp::new().await;
    for client in [TV, CONSOLE] {
        let tokens = approved(&app, client).await;
        let access_token = tokens["access_token"].as_str().unwrap();
        for hint in [None, Some(("token_type_hint", "access_token"))] {
            let form: Vec<_> = [("token", access_token)].into_iter().chain(hint).collect();
            let answer = send_as(&app, client, "/revoke", &form).await;
            assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "unsupported_token_type"));
        }
        assert!(app.dev_pool().is_live(access_token));
    }
}

/// RT-14: without a revocation endpoint at the pool ours is not advertised and claims no success.
#[tokio::test]
async fn without_the_pools_endpoint_nothing_is_revoked() {
    let mut app = TestApp::new().await;
    let token = refresh_token_of(&app, TV).await;
    app.dev_pool()
        .faults()
        .set(|faults| faults.discovery = Overrides::from([("revocation_endpoint", json!(null))]));
    let replica = fresh_replica(&mut app, Discovery::Read).await;
    let metadata =
        app.send_to(replica, request(Method::GET, "/.well-known/oauth-authorization-server")).await;
    assert_eq!(metadata.status, StatusCode::OK);
    assert!(!metadata.text.contains("revo"), "{}", metadata.text);
    let answer = app.send_to(replica, post("/revoke", &[("client_id", TV), ("token", &token)])).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "unsupported_token_type"));
    assert_eq!(refresh(&app, TV, &token).await.status, StatusCode::OK);
    // Device codes are ours.
    let codes = app.start(TV).await;
    let form = [("client_id", TV), ("token", &*codes.device_code), ("token_type_hint", "device_code")];
    assert_eq!(app.send_to(replica, post("/revoke", &form)).await.status, StatusCode::OK);
    assert_eq!(app.poll(TV, &codes).await.error(), "expired_token");
}
