//! Refreshes that come at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use device_grant_dev_pool::{DevPoolConfig, Endpoint, Hold};
use tokio::task::JoinSet;

use super::app::*;
use super::browser::{Browser, outcome};

const AT_ONCE: usize = 5;

fn form(token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", token)]
}

async fn refresh_token_of(app: &TestApp, who: &str) -> String {
    let codes = app.start(TV).await;
    assert_eq!(outcome(&Browser::of(app, who).approve(&codes).await), "approved");
    app.poll(TV, &codes).await.json()["refresh_token"].as_str().unwrap().to_owned()
}

/// Sends the token of each person several times at once; what came for each of them.
async fn all_at_once(app: &Arc<TestApp>, tokens: &[String]) -> Vec<Vec<Answer>> {
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let mut refreshes = JoinSet::new();
    for (who, token) in tokens.iter().enumerate() {
        for _ in 0..AT_ONCE {
            let (app, token) = (Arc::clone(app), token.clone());
            refreshes.spawn(async move { (who, app.post("/token", &form(&token)).await) });
        }
    }
    hold.arrived().await;
    hold.release();
    let mut answers: Vec<Vec<Answer>> = tokens.iter().map(|_| Vec::new()).collect();
    for (who, answer) in refreshes.join_all().await {
        answers[who].push(answer);
    }
    answers
}

/// RT-07: ten refreshes at once with two tokens are two calls to a pool that rotates: each token's callers hear one and the
/// same answer, nobody hears another's, and what they got works. Sent twice, the pool would have ended both families.
#[tokio::test]
async fn refreshes_at_once_with_one_token_are_one_call() {
    let pool = Box::new(|pool: &mut DevPoolConfig| pool.rotate_refresh_tokens = true);
    let app = Arc::new(TestApp::with(Options { pool, ..Options::default() }).await);
    let tokens = [refresh_token_of(&app, "alice").await, refresh_token_of(&app, "bob").await];
    let before = app.dev_pool().requests().to(Endpoint::Token).len();
    let answers = all_at_once(&app, &tokens).await;
    assert_eq!(app.dev_pool().requests().to(Endpoint::Token).len(), before + 2);
    let mut access_tokens = BTreeSet::new();
    for answers in &answers {
        for answer in answers {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            assert_eq!(answer.json()["access_token"], answers[0].json()["access_token"]);
        }
        access_tokens.insert(answers[0].json()["access_token"].as_str().unwrap().to_owned());
        let next = answers[AT_ONCE - 1].json()["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(app.post("/token", &form(&next)).await.status, StatusCode::OK, "the last one works");
    }
    assert_eq!(access_tokens.len(), 2);
}

/// RT-07: over two replicas it is one call from each; at a pool that does not rotate everybody's tokens work, as does the
/// refresh token afterwards.
#[tokio::test]
async fn refreshes_at_once_over_two_replicas_are_one_call_from_each() {
    let app = Arc::new(TestApp::new().await);
    let token = refresh_token_of(&app, "alice").await;
    let before = app.dev_pool().requests().to(Endpoint::Token).len();
    let holds = [0; 2].map(|_| app.dev_pool().faults().hold_next(Endpoint::Token));
    let mut refreshes = JoinSet::new();
    for n in 0..2 * AT_ONCE {
        let (app, token) = (Arc::clone(&app), token.clone());
        refreshes.spawn(async move { app.send_to(n % 2, post("/token", &form(&token))).await });
    }
    for hold in &holds {
        hold.arrived().await;
    }
    holds.iter().for_each(Hold::release);
    for answer in refreshes.join_all().await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    assert_eq!(app.dev_pool().requests().to(Endpoint::Token).len(), before + 2);
    assert_eq!(app.post("/token", &form(&token)).await.status, StatusCode::OK);
}

/// RT-07, RT-04: a device that goes away does not cut its refresh off, and the next one with that token is a new call.
#[tokio::test]
async fn a_refresh_whose_device_goes_away_is_finished() {
    let app = Arc::new(TestApp::new().await);
    let token = refresh_token_of(&app, "alice").await;
    let before = app.dev_pool().requests().to(Endpoint::Token).len();
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let (asking, sent) = (Arc::clone(&app), token.clone());
    let device = tokio::spawn(async move { asking.post("/token", &form(&sent)).await.status });
    hold.arrived().await;
    device.abort();
    assert!(device.await.unwrap_err().is_cancelled());
    hold.release();
    app.settle(0).await;
    assert_eq!(app.dev_pool().requests().to(Endpoint::Token).len(), before + 1);
    assert_eq!(app.post("/token", &form(&token)).await.status, StatusCode::OK);
    assert_eq!(app.dev_pool().requests().to(Endpoint::Token).len(), before + 2);
}
