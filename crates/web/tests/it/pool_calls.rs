//! Strangers who make us ask the pool for nothing.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use device_grant_dev_pool::Endpoint;
use device_grant_domain::Settings;

use super::app::*;
use super::browser::{Browser, away, text};

const GUESSER: [u8; 4] = [203, 0, 113, 9];
const HOME: [u8; 4] = [198, 51, 100, 1];
const LIMIT: u32 = 3;

async fn with_limit() -> TestApp {
    let settings = Box::new(|settings: &mut Settings| settings.pool_refusal_limit = LIMIT);
    TestApp::with(Options { settings, ..Options::default() }).await
}

fn with_token(path: &str, form: &[(&str, &str)]) -> Request<Body> {
    with_basic(post(path, form), CONSOLE, SECRET)
}

fn refresh(token: &str) -> Request<Body> {
    with_token("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

fn calls(app: &TestApp, endpoint: Endpoint) -> usize {
    app.dev_pool().requests().to(endpoint).len()
}

#[track_caller]
fn assert_too_many(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    assert_eq!(
        (answer.error().as_str(), answer.header(header::RETRY_AFTER)),
        ("temporarily_unavailable", "60")
    );
}

/// Comes back from a sign-in with a code that nobody issued.
async fn made_up_sign_in(app: &TestApp, address: [u8; 4]) -> Answer {
    let mut browser = Browser::of(app, "nobody");
    browser.address = Some(address.into());
    let page = browser.get("/device").await;
    let away = away(&page).unwrap_or_else(|| panic!("no way on: {}", page.text));
    let state = away.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    browser.get(&format!("/callback?{}", encode(&[("code", "made-up"), ("state", &state)]))).await
}

/// UP-05: made-up codes of sign-ins reach the pool a few times and not any more; people elsewhere sign in.
#[tokio::test]
async fn made_up_sign_ins_do_not_use_the_pool_up() {
    let app = with_limit().await;
    for _ in 0..LIMIT {
        assert_eq!(made_up_sign_in(&app, GUESSER).await.status, StatusCode::FORBIDDEN);
    }
    let before = calls(&app, Endpoint::Token);
    let refused = made_up_sign_in(&app, GUESSER).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(calls(&app, Endpoint::Token), before);
    let mut alice = Browser::alice(&app);
    alice.address = Some(HOME.into());
    assert!(text(&alice.sign_in().await, "#continue").is_some(), "elsewhere people sign in");
    app.advance(60);
    assert_eq!(made_up_sign_in(&app, GUESSER).await.status, StatusCode::FORBIDDEN, "and later there too");
}

/// UP-05: the same for refresh tokens; a good one keeps, and counts nowhere.
#[tokio::test]
async fn made_up_refresh_tokens_do_not_use_the_pool_up() {
    let app = with_limit().await;
    let codes = app.start_confidential(CONSOLE).await;
    Browser::alice(&app).approve(&codes).await;
    let tokens = app.poll_confidential(CONSOLE, &codes).await.json();
    let good = tokens["refresh_token"].as_str().unwrap();
    for n in 0..LIMIT {
        assert_eq!(app.send(from(refresh(good), GUESSER)).await.status, StatusCode::OK);
        assert_eq!(app.send(from(refresh(&n.to_string()), GUESSER)).await.error(), "invalid_grant");
    }
    let before = calls(&app, Endpoint::Token);
    assert_too_many(&app.send(from(refresh("one more"), GUESSER)).await);
    assert_too_many(&app.send(from(refresh(good), GUESSER)).await);
    assert_eq!(calls(&app, Endpoint::Token), before);
    assert_eq!(app.send(from(refresh(good), HOME)).await.status, StatusCode::OK, "elsewhere it goes on");
    app.advance(60);
    assert_eq!(app.send(from(refresh(good), GUESSER)).await.status, StatusCode::OK, "and later there too");
}

/// UP-05: the same for revocations, to which the pool never says no.
#[tokio::test]
async fn made_up_revocations_do_not_use_the_pool_up() {
    let app = with_limit().await;
    let revoke = |token: &str| with_token("/revoke", &[("token", token)]);
    for n in 0..LIMIT {
        assert_eq!(app.send(from(revoke(&n.to_string()), GUESSER)).await.status, StatusCode::OK);
    }
    assert_too_many(&app.send(from(revoke("one more"), GUESSER)).await);
    assert_eq!(calls(&app, Endpoint::Revoke), LIMIT as usize);
    assert_eq!(app.send(from(revoke("another"), HOME)).await.status, StatusCode::OK);
}
