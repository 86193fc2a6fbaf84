//! Somebody who can write the table, and has no keys.

use std::time::Duration;

use axum::http::StatusCode;
use device_grant_dev_pool::{Endpoint, Fault};
use device_grant_domain::request::DeviceRequest;
use device_grant_domain::store::Consistency;
use device_grant_domain::{KeyThumbprint, RequestId, mailbox::MailboxKey};
use device_grant_protocol::DeviceCode;

use super::app::*;
use super::browser::{Browser, outcome, text};

type Change = fn(&mut DeviceRequest);

/// One change to each part that no transition changes. A scope stays within what the client may ask for.
const CHANGES: [(&str, Change); 8] = [
    ("client", |request| request.client_id = OTHER.parse().unwrap()),
    ("scope", |request| request.scope = "openid profile".parse().unwrap()),
    ("asked scope", |request| request.asked_scope = "openid".parse().unwrap()),
    ("issued at", |request| request.created_at = request.created_at + Duration::from_secs(1)),
    ("expires at", |request| request.expires_at = request.expires_at + Duration::from_secs(1)),
    ("mailbox", |request| request.mailbox = MailboxKey::of(&DeviceCode::new("mallory's"))),
    ("key", |request| request.dpop_jkt = Some(KeyThumbprint::from_stored("mallory's"))),
    ("origin", |request| *request.origin.last_mut().unwrap() ^= 1),
];

fn exchanges(app: &TestApp) -> usize {
    app.dev_pool().requests().to(Endpoint::Token).len()
}

/// SEC-08: a request that was changed in the store leads nowhere when its code is entered.
#[tokio::test]
async fn an_altered_request_is_shown_to_nobody() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    for (part, change) in CHANGES {
        app.store.alter(change);
        let page = Browser::alice(&app).enter(&codes.user_code).await;
        assert_eq!(text(&page, "#authorize"), None, "{part}");
        assert!(text(&page, "#notice").is_some(), "{part}");
    }
    app.store.heal();
    assert!(text(&Browser::alice(&app).enter(&codes.user_code).await, "#authorize").is_some());
}

/// SEC-08, UI-09: nor can it be authorized when it was changed after it was shown.
#[tokio::test]
async fn a_request_that_is_altered_on_the_page_is_not_authorized() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    for (part, change) in CHANGES {
        app.store.alter(change);
        assert_eq!(alice.decide(&page, "#authorize").await.status, StatusCode::OK, "{part}");
    }
    app.store.heal();
    assert_eq!(alice.decide(&page, "#authorize").await.status, StatusCode::SEE_OTHER);
}

/// SEC-08: nor is the pool's code exchanged when it was changed while the person was at the pool.
#[tokio::test]
async fn nothing_is_exchanged_for_a_request_that_is_altered_on_the_way() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let back = alice.way_back(&codes).await;
    let before = exchanges(&app);
    for (part, change) in CHANGES {
        app.store.alter(change);
        assert_ne!(outcome(&alice.land(&back).await), "approved", "{part}");
        assert_eq!(exchanges(&app), before, "{part}");
    }
    app.store.heal();
    assert_eq!(outcome(&alice.land(&back).await), "approved", "nothing was used up");
}

/// SEC-08: nor is it handed over, and what was there comes back with the request as it was.
#[tokio::test]
async fn an_altered_request_hands_nothing_over() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    for (part, change) in CHANGES {
        app.store.alter(change);
        assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant", "{part}");
    }
    app.store.heal();
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// SEC-08: nor does a poll take the exchange over.
#[tokio::test]
async fn no_exchange_is_taken_over_for_an_altered_request() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let back = alice.way_back(&codes).await;
    app.dev_pool().faults().once(Endpoint::Token, Fault::Drop);
    assert_eq!(outcome(&alice.land(&back).await), "pending");
    let before = exchanges(&app);
    app.advance(18);
    for (part, change) in CHANGES {
        app.store.alter(change);
        app.poll(TV, &codes).await.error();
        app.settle(0).await;
        assert_eq!(exchanges(&app), before, "{part}");
    }
    app.store.heal();
    app.poll(TV, &codes).await.error();
    app.settle(0).await;
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// SEC-08: a user code leads to the request that it was issued for, and to no other one, wherever its item points.
#[tokio::test]
async fn a_user_code_leads_to_no_request_but_its_own() {
    let app = TestApp::new().await;
    let (hers, mallorys) = (app.start(TV).await, app.start(TV).await);
    let id = RequestId::of(&DeviceCode::new(mallorys.device_code.as_str()));
    let planted = app.services[0].store.load(&id, Consistency::Strong).await.unwrap().unwrap();
    app.store.alter(move |request| *request = planted.clone());
    let page = Browser::alice(&app).enter(&hers.user_code).await;
    assert_eq!(text(&page, "#authorize"), None);
    let page = Browser::alice(&app).enter(&mallorys.user_code).await;
    assert!(text(&page, "#authorize").is_some(), "a request is found by its own code");
}
