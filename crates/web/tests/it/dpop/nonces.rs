//! Nonces (RFC 9449 section 8).

use std::time::Duration;

use device_grant_domain::dpop::DpopSettings;

use super::*;

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

async fn app_with_nonces() -> TestApp {
    let settings = Box::new(|settings: &mut device_grant_domain::Settings| {
        settings.dpop = DpopSettings { nonce: true, proof_life: Duration::from_mins(1) };
    });
    TestApp::with(Options { settings, ..with_dpop() }).await
}

/// The nonce that an answer hands out: one, where there is one.
fn nonce(answer: &Answer) -> Option<String> {
    let values: Vec<_> = answer.headers.get_all(DPOP_NONCE).iter().collect();
    assert!(values.len() <= 1, "{answer:?}");
    values.first().map(|value| value.to_str().unwrap().to_owned())
}

#[track_caller]
fn asked_for(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, "use_dpop_nonce"));
    nonce(answer).expect("a nonce to come again with")
}

fn with_nonce(app: &TestApp, signer: &Signer, path: &str, nonce: &str) -> String {
    proof(app, signer, path, &json!({ "nonce": nonce }))
}

async fn started(app: &TestApp, signer: &Signer) -> (Codes, String) {
    let nonce = asked_for(&start(app, TV, &fresh(app, signer, START)).await);
    let answer = start(app, TV, &with_nonce(app, signer, START, &nonce)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    (codes(&answer), nonce)
}

/// DP-07: without a nonce there is one to come again with, on whatever replica; a proof without stays refused.
#[tokio::test]
async fn a_nonce_is_good_on_every_replica() {
    let (app, signer) = (app_with_nonces().await, Signer::es256());
    let (codes, nonce) = started(&app, &signer).await;
    for _ in 0..3 {
        asked_for(&poll(&app, TV, &codes, &signer).await);
    }
    for replica in [1, 0] {
        let proof = with_nonce(&app, &signer, "/token", &nonce);
        assert_eq!(poll_on(&app, replica, (TV, &codes), &proof).await.error(), "authorization_pending");
        app.advance(5);
    }
    let first = asked_for(&poll(&app, TV, &codes, &signer).await);
    let second = asked_for(&poll(&app, TV, &codes, &signer).await);
    assert_ne!(first, second, "nobody can tell the next one");
}

/// DP-07: being asked for a nonce costs no `slow_down`, not even at the first poll.
#[tokio::test]
async fn being_asked_for_a_nonce_costs_no_slow_down() {
    let (app, signer) = (app_with_nonces().await, Signer::es256());
    let (codes, _) = started(&app, &signer).await;
    let nonce = asked_for(&poll(&app, TV, &codes, &signer).await);
    let proof = with_nonce(&app, &signer, "/token", &nonce);
    assert_eq!(poll_on(&app, 0, (TV, &codes), &proof).await.error(), "authorization_pending");
    assert_eq!((app.store.count(Call::SlowDown), app.store.count(Call::Spend)), (0, 2));
}

/// DP-07: the next nonce comes along before the old one dies, with whatever answer; an old or foreign one is replaced.
#[tokio::test]
async fn the_next_nonce_comes_in_time() {
    let (app, signer) = (app_with_nonces().await, Signer::es256());
    let (codes, mut current) = started(&app, &signer).await;
    let mut handed = 0;
    for _ in 0..120 {
        app.advance(5);
        let proof = with_nonce(&app, &signer, "/token", &current);
        let answer = poll_on(&app, 0, (TV, &codes), &proof).await;
        assert_eq!(answer.error(), "authorization_pending", "a device that keeps up is never asked again");
        if let Some(next) = nonce(&answer) {
            (current, handed) = (next, handed + 1);
        }
    }
    assert_eq!(handed, 4, "every two and a half minutes");
    app.advance(301);
    for old in [current.as_str(), "made up", ""] {
        asked_for(&poll_on(&app, 0, (TV, &codes), &with_nonce(&app, &signer, "/token", old)).await);
    }
}

/// DP-06, DP-07: a nonce tells the time, so the device's own clock does not matter; each proof still works once.
#[tokio::test]
async fn with_a_nonce_the_clock_of_the_device_does_not_matter() {
    let (app, signer) = (app_with_nonces().await, Signer::es256());
    let (codes, nonce) = started(&app, &signer).await;
    for iat in [json!(1), json!(app.clock.now().as_secs() + 86_400)] {
        let proof = proof(&app, &signer, "/token", &json!({ "iat": iat, "nonce": nonce }));
        assert_eq!(poll_on(&app, 0, (TV, &codes), &proof).await.error(), "authorization_pending", "{iat}");
        app.advance(140);
        assert_refused(&poll_on(&app, 1, (TV, &codes), &proof).await, "a replay");
    }
}

/// DP-07: where no nonces are asked for none is handed out, and one in a proof means nothing.
#[tokio::test]
async fn without_the_setting_there_are_no_nonces() {
    let (app, signer) = (app().await, Signer::es256());
    let answer = start(&app, TV, &with_nonce(&app, &signer, START, "made up")).await;
    assert_eq!((answer.status, nonce(&answer)), (StatusCode::OK, None));
}
