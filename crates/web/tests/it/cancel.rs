//! A device that leaves its screen gives its code up.

use axum::http::{StatusCode, header};
use device_grant_dev_pool::Endpoint;
use device_grant_testkit::{Call, StoreFault};

use super::app::*;
use super::browser::{Browser, outcome, text};

fn form<'a>(client: &'a str, codes: &'a Codes) -> [(&'a str, &'a str); 3] {
    [("client_id", client), ("token", &codes.device_code), ("token_type_hint", "device_code")]
}

async fn cancel(app: &TestApp, client: &str, codes: &Codes) -> Answer {
    app.post("/revoke", &form(client, codes)).await
}

fn revocations(app: &TestApp) -> usize {
    app.dev_pool().requests().to(Endpoint::Revoke).len()
}

/// RT-11: polls of a code that was given up hear that it has run out, on every replica, and so do people; giving it up again is
/// no error. The pool is not asked.
#[tokio::test]
async fn a_code_that_was_given_up_has_run_out() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut waiting = Browser::alice(&app);
    let page = waiting.enter(&codes.user_code).await;
    assert!(text(&page, "#authorize").is_some(), "{}", page.text);
    for _ in 0..2 {
        let answer = cancel(&app, TV, &codes).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    }
    for replica in [0, 1] {
        assert_eq!(app.poll_on(replica, TV, &codes).await.error(), "expired_token");
    }
    assert_eq!(outcome(&waiting.decide(&page, "#authorize").await), "expired");
    let never = Codes { user_code: "BCDF-GHJK".to_owned(), ..codes.clone() };
    let mut bob = Browser::of(&app, "bob");
    let shown = bob.enter(&codes.user_code).await;
    let unknown = bob.enter(&never.user_code).await;
    assert_eq!(text(&shown, "#notice"), text(&unknown, "#notice"), "as any code that there is not");
    assert_eq!(revocations(&app), 0);
}

/// ST-05, CB-12: tokens that waited are revoked, and nobody gets them.
#[tokio::test]
async fn tokens_that_waited_are_revoked() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    assert_eq!(cancel(&app, TV, &codes).await.status, StatusCode::OK);
    app.settle(0).await;
    assert_eq!(revocations(&app), 1);
    assert_eq!(app.poll(TV, &codes).await.error(), "expired_token");
}

/// CB-12: a code of the pool that is being exchanged meanwhile brings tokens that are revoked at once, and the person is told.
#[tokio::test]
async fn an_exchange_under_way_brings_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let back = alice.way_back(&codes).await;
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let giving_up = async {
        hold.arrived().await;
        assert_eq!(cancel(&app, TV, &codes).await.status, StatusCode::OK);
        hold.release();
    };
    let (landed, ()) = tokio::join!(alice.land(&back), giving_up);
    assert_eq!(outcome(&landed), "expired");
    assert_eq!(revocations(&app), 1);
    assert_eq!(app.poll(TV, &codes).await.error(), "expired_token");
}

/// RT-11, RT-12: whoever did not begin a request ends it neither, and is not told whether there is one; so it is with codes
/// that there are not, with a code without the hint, and with tokens that were handed over.
#[tokio::test]
async fn nothing_else_is_given_up() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let made_up = Codes { device_code: "made-up".to_owned(), ..codes.clone() };
    for (client, codes) in [(OTHER, &codes), (TV, &made_up)] {
        let answer = cancel(&app, client, codes).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    }
    let without = app.post("/revoke", &form(TV, &codes)[..2]).await;
    assert_eq!(without.status, StatusCode::OK);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let tokens = app.poll(TV, &codes).await.json();
    assert_eq!(cancel(&app, TV, &codes).await.status, StatusCode::OK);
    assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let refresh = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", refresh)];
    assert_eq!(app.post("/token", &refresh).await.status, StatusCode::OK, "its tokens are good");
}

/// RT-10, RT-13: who it is comes first, and while the store is away nothing is pretended.
#[tokio::test]
async fn giving_up_needs_the_client_and_the_store() {
    let app = TestApp::new().await;
    let codes = app.start_confidential(CONSOLE).await;
    let wrong = app.send(with_basic(post("/revoke", &form(CONSOLE, &codes)), CONSOLE, "wrong")).await;
    assert_eq!(wrong.error(), "invalid_client");
    let missing = app.post("/revoke", &[("client_id", TV), ("token_type_hint", "device_code")]).await;
    assert_eq!(missing.error(), "invalid_request");
    app.store.fail(Call::Load, StoreFault::Before, 1);
    let away = app.send(with_basic(post("/revoke", &form(CONSOLE, &codes)), CONSOLE, SECRET)).await;
    assert_eq!((away.status.as_u16(), away.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(away.header(header::RETRY_AFTER), "5");
    assert_eq!(app.poll_confidential(CONSOLE, &codes).await.error(), "authorization_pending");
}
