//! An answer with tokens that was lost on its way.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use device_grant_dev_pool::{Endpoint, Overrides};
use device_grant_domain::client::{Clients, DeviceClient};
use device_grant_testkit::{Call, StoreFault};
use serde_json::{Value, json};

use super::app::*;
use super::browser::{Browser, outcome};

const WINDOW: u64 = 30;

/// Every client may fetch its tokens again, as far as it proves itself.
async fn with_window() -> TestApp {
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        for client in clients {
            client.redelivery = Some(Duration::from_secs(WINDOW));
        }
    });
    TestApp::with(Options { clients, ..Options::default() }).await
}

async fn approved(app: &TestApp, client: &str) -> Codes {
    let codes = app.start_confidential(client).await;
    assert_eq!(outcome(&Browser::alice(app).approve(&codes).await), "approved");
    codes
}

async fn poll_on(app: &TestApp, replica: usize, codes: &Codes) -> Answer {
    app.send_to(replica, with_basic(post("/token", &poll_form(CONSOLE, codes)), CONSOLE, SECRET)).await
}

fn tokens(answer: &Answer) -> [Value; 3] {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    ["access_token", "refresh_token", "expires_in"].map(|name| answer.json()[name].clone())
}

/// ST-01, TP-12: within the window every replica gives the same tokens again, to the client that has them, and writes nothing;
/// their life goes on meanwhile. Then it is over.
#[tokio::test]
async fn within_the_window_the_same_tokens_come_again() {
    let app = with_window().await;
    let codes = approved(&app, CONSOLE).await;
    let [access, refresh, life] = tokens(&poll_on(&app, 0, &codes).await);
    let written = app.store.count(Call::Transition);
    app.advance(WINDOW - 1);
    for replica in [1, 0] {
        let again = tokens(&poll_on(&app, replica, &codes).await);
        let left = life.as_u64().unwrap() - (WINDOW - 1);
        assert_eq!(again, [access.clone(), refresh.clone(), left.into()]);
    }
    assert_eq!(app.store.count(Call::Transition), written);
    app.advance(1);
    assert_eq!(poll_on(&app, 0, &codes).await.error(), "invalid_grant");
    assert_eq!(poll_on(&app, 1, &codes).await.error(), "invalid_grant");
}

/// TP-12, TP-13: nobody else has a window: another client, a wrong secret, a public client whatever its setting says.
#[tokio::test]
async fn the_window_is_for_the_proven_client_alone() {
    let app = with_window().await;
    let codes = approved(&app, CONSOLE).await;
    tokens(&poll_on(&app, 0, &codes).await);
    assert_eq!(app.poll_confidential(SPEAKER, &codes).await.error(), "invalid_grant");
    assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
    let form = poll_form(CONSOLE, &codes);
    let wrong = app.send(with_basic(post("/token", &form), CONSOLE, "wrong")).await;
    assert_eq!(wrong.error(), "invalid_client");
    tokens(&poll_on(&app, 0, &codes).await);

    let public = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&public).await), "approved");
    assert_eq!(app.poll(TV, &public).await.status, StatusCode::OK);
    assert_eq!(app.poll(TV, &public).await.error(), "invalid_grant");
}

/// TP-12: without the setting tokens leave once.
#[tokio::test]
async fn there_is_no_window_unless_it_is_asked_for() {
    let app = TestApp::new().await;
    let codes = approved(&app, CONSOLE).await;
    tokens(&poll_on(&app, 0, &codes).await);
    assert_eq!(poll_on(&app, 0, &codes).await.error(), "invalid_grant");
}

/// TP-19: what the operator has taken away since does not come again: the window, a scope, the client.
#[tokio::test]
async fn what_was_withdrawn_meanwhile_does_not_come_again() {
    type Change = fn(&mut DeviceClient);
    let changes: [(Change, &str); 3] = [
        (|client| client.redelivery = None, "invalid_grant"),
        (|client| client.scopes = "profile".parse().unwrap(), "invalid_grant"),
        (|client| client.id = "another".parse().unwrap(), "invalid_client"),
    ];
    for (change, heard) in changes {
        let mut app = with_window().await;
        let codes = approved(&app, CONSOLE).await;
        tokens(&poll_on(&app, 0, &codes).await);
        let clients: Clients = app.services[0]
            .clients
            .all()
            .iter()
            .map(|client| {
                let mut client = DeviceClient::clone(client);
                change(&mut client);
                client
            })
            .collect();
        let pool = app.services[0].pool.clone();
        let later = super::client_auth::add_replica(&mut app, pool, Arc::new(clients));
        assert_eq!(poll_on(&app, later, &codes).await.error(), heard);
        tokens(&poll_on(&app, 0, &codes).await);
    }
}

/// ST-09: a hand-over of which the store does not say whether it was written, for as long as anybody asks: the device polls
/// again and has its tokens, before they are made to wait again as well as after that.
#[tokio::test]
async fn an_uncertain_hand_over_is_fetched_again() {
    let app = with_window().await;
    let codes = approved(&app, CONSOLE).await;
    app.store.fail(Call::Transition, StoreFault::After, 3);
    // The poll reads twice; what became of its write it cannot learn.
    app.store.fail_after(2, Call::Load, StoreFault::Before, 3);
    assert_eq!(poll_on(&app, 0, &codes).await.error(), "slow_down");
    let first = tokens(&poll_on(&app, 1, &codes).await);
    app.settle(0).await;
    for replica in [1, 0] {
        assert_eq!(tokens(&poll_on(&app, replica, &codes).await), first);
    }
    app.advance(1800);
    assert_eq!(poll_on(&app, 0, &codes).await.error(), "invalid_grant", "and with the codes it is over");
}

/// ST-02: fifty polls at once, over two replicas, bring one token set to the one device, however many answers carry it.
#[tokio::test]
async fn fifty_polls_at_once_bring_one_token_set() {
    let app = Arc::new(with_window().await);
    let codes = approved(&app, CONSOLE).await;
    let mut polls = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (app, codes) = (Arc::clone(&app), codes.clone());
        polls.spawn(async move { poll_on(&app, n % 2, &codes).await });
    }
    let answers = polls.join_all().await;
    let good: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::OK).map(tokens).collect();
    assert!(!good.is_empty());
    assert!(good.iter().all(|tokens| *tokens == good[0]), "{good:?}");
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        assert!(["authorization_pending", "slow_down"].contains(&&*answer.error()), "{answer:?}");
    }
}

/// TP-08: tokens that ran out while they waited are not renewed where they can be fetched again: the second answer would
/// carry a refresh token that the first renewal may have ended.
#[tokio::test]
async fn tokens_that_ran_out_come_again_as_they_are() {
    let app = with_window().await;
    app.dev_pool()
        .faults()
        .set(|faults| faults.token_response = Overrides::from([("expires_in", json!(60))]));
    let codes = approved(&app, CONSOLE).await;
    app.dev_pool().faults().clear();
    app.advance(60);
    let before = app.dev_pool().requests().to(Endpoint::Token).len();
    let first = tokens(&poll_on(&app, 0, &codes).await);
    assert_eq!(first[2], 0);
    assert_eq!(tokens(&poll_on(&app, 1, &codes).await), first);
    assert_eq!(app.dev_pool().requests().to(Endpoint::Token).len(), before);
}
