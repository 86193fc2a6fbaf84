//! Strangers who make us ask the pool for nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use device_grant_dev_pool::Endpoint;
use device_grant_domain::Settings;
use tokio::task::JoinSet;

use super::app::*;
use super::browser::{Browser, away, local, outcome, state_of, text};

const GUESSER: [u8; 4] = [203, 0, 113, 9];
const HOME: [u8; 4] = [198, 51, 100, 1];
const LIMIT: u32 = 3;

async fn with_limit() -> TestApp {
    let settings = Box::new(|settings: &mut Settings| settings.vain_pool_call_limit = LIMIT);
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
    browser.get(&format!("/callback?{}", encode(&[("code", "made-up"), ("state", &state_of(&away))]))).await
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
    assert_eq!((refused.status.as_u16(), refused.header(header::RETRY_AFTER)), (429, "60"));
    assert_eq!(calls(&app, Endpoint::Token), before);
    let mut alice = Browser::alice(&app);
    alice.address = Some(HOME.into());
    assert!(text(&alice.sign_in().await, "#continue").is_some(), "elsewhere people sign in");
    app.advance(60);
    assert_eq!(made_up_sign_in(&app, GUESSER).await.status, StatusCode::FORBIDDEN, "and later there too");
}

/// CB-03, UP-05: a way back that is gone again and again asks the pool for nothing, and keeps nobody from signing in.
#[tokio::test]
async fn a_reloaded_sign_in_counts_nowhere() {
    let app = with_limit().await;
    let mut alice = Browser::alice(&app);
    alice.address = Some(GUESSER.into());
    let page = alice.get("/device").await;
    let back = local(&alice.person.visit(&away(&page).unwrap()).await.unwrap());
    for _ in 0..LIMIT + 2 {
        assert_eq!(alice.get(&back).await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(calls(&app, Endpoint::Token), 1);
    let mut bob = Browser::of(&app, "bob");
    bob.address = Some(GUESSER.into());
    assert!(text(&bob.sign_in().await, "#continue").is_some());
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

/// UP-05: the same for revocations, to which the pool never says no: of made-up tokens where it is asked for any, and of
/// one that is good, again and again.
#[tokio::test]
async fn revocations_do_not_use_the_pool_up() {
    let app = with_limit().await;
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    let tokens = app.poll(TV, &codes).await.json();
    let envelope = tokens["refresh_token"].as_str().unwrap();
    let made_up = |token: &str| with_token("/revoke", &[("token", token)]);
    let own = |token: &str| post("/revoke", &[("client_id", TV), ("token", token)]);
    for n in 0..LIMIT {
        assert_eq!(app.send(from(made_up(&n.to_string()), GUESSER)).await.status, StatusCode::OK);
        assert_eq!(app.send(from(own(envelope), GUESSER)).await.status, StatusCode::OK);
    }
    assert_too_many(&app.send(from(made_up("one more"), GUESSER)).await);
    assert_too_many(&app.send(from(own(envelope), GUESSER)).await);
    assert_eq!(calls(&app, Endpoint::Revoke), 2 * LIMIT as usize);
    assert_eq!(app.send(from(made_up("another"), HOME)).await.status, StatusCode::OK);
}

/// UP-05, CB-07: nor do approvals that bring made-up codes: beyond the limit nothing is claimed, and the request is open.
#[tokio::test]
async fn made_up_approvals_do_not_use_the_pool_up() {
    let app = with_limit().await;
    let codes = app.start(TV).await;
    let mut mallory = Browser::of(&app, "bob");
    mallory.address = Some(GUESSER.into());
    mallory.sign_in().await;
    let before = calls(&app, Endpoint::Token);
    for n in 0..LIMIT + 2 {
        let away = mallory.authorize(&codes).await;
        let back = format!("/callback?{}", encode(&[("code", &n.to_string()), ("state", &state_of(&away))]));
        assert_eq!(outcome(&mallory.land(&back).await), "retry");
    }
    assert_eq!(calls(&app, Endpoint::Token), before + LIMIT as usize);
    let mut alice = Browser::alice(&app);
    alice.address = Some(HOME.into());
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
    for _ in 0..=LIMIT {
        assert_eq!(
            outcome(&alice.approve(&app.start(TV).await).await),
            "approved",
            "what is good counts nowhere"
        );
    }
}

/// UP-05: a hundred at once count as a hundred.
#[tokio::test]
async fn calls_at_once_share_the_limit() {
    let app = Arc::new(with_limit().await);
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let mut refreshes = JoinSet::new();
    for n in 0..LIMIT + 5 {
        let app = Arc::clone(&app);
        refreshes.spawn(async move { app.send(from(refresh(&n.to_string()), GUESSER)).await.status });
    }
    hold.arrived().await;
    hold.release();
    let answers = refreshes.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count(), 5);
    assert_eq!(calls(&app, Endpoint::Token), LIMIT as usize);
}
