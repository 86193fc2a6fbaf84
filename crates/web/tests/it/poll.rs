use std::sync::Arc;

use axum::http::{StatusCode, header};
use device_grant_dev_pool::{Endpoint, Fault, Overrides};
use device_grant_domain::store::{Consistency, RequestStore};
use device_grant_domain::{Clock, RequestId, Settings};
use device_grant_protocol::{DeviceCode, GRANT_TYPE_DEVICE_CODE};
use device_grant_testkit::{Call, StoreFault};
use device_grant_web::OnStoreFailure;
use serde_json::json;

use super::app::*;
use super::browser::{Browser, local, outcome};

/// TP-01: the grant is chosen by the exact URN; what is missing or unknown is told apart.
#[tokio::test]
async fn the_grant_is_chosen_by_its_exact_urn() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let code = codes.device_code.as_str();
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("client_id", TV), ("grant_type", "")], "invalid_request"),
        (&[("client_id", TV), ("device_code", code)], "invalid_request"),
        (&[("client_id", TV), ("grant_type", GRANT_TYPE_DEVICE_CODE)], "invalid_request"),
        (
            &[("client_id", TV), ("grant_type", GRANT_TYPE_DEVICE_CODE), ("device_code", "")],
            "invalid_request",
        ),
        (
            &[("client_id", TV), ("grant_type", "device_code"), ("device_code", code)],
            "unsupported_grant_type",
        ),
        (&[("client_id", TV), ("grant_type", "password")], "unsupported_grant_type"),
        (&[("client_id", TV), ("grant_type", "client_credentials")], "unsupported_grant_type"),
        (&[("client_id", TV), ("grant_type", "authorization_code"), ("code", "x")], "unsupported_grant_type"),
    ];
    for (form, error) in cases {
        let answer = app.post("/token", form).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, error), "{form:?}");
    }
}

/// TP-02, TP-03, TP-06: the first poll is free, then the interval counts; too fast is `slow_down` with the new pace.
#[tokio::test]
async fn polls_keep_a_pace() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    let early = app.poll(TV, &codes).await;
    assert_eq!((early.status, early.error().as_str()), (StatusCode::BAD_REQUEST, "slow_down"));
    assert_eq!(early.json()["interval"], 10);
    assert_eq!(early.header(header::RETRY_AFTER), "10");
    app.advance(10);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// TP-04: a `slow_down` on one replica raises the pace on the other.
#[tokio::test]
async fn a_slow_down_is_known_on_every_replica() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    app.poll_on(0, TV, &codes).await;
    app.poll_on(1, TV, &codes).await;
    assert_eq!(app.poll_on(0, TV, &codes).await.error(), "slow_down");
    app.advance(5);
    assert_eq!(app.poll_on(1, TV, &codes).await.error(), "slow_down", "five seconds are not enough any more");
    app.advance(10);
    assert_eq!(app.poll_on(1, TV, &codes).await.error(), "authorization_pending");
}

/// TP-05: a client that keeps the advertised pace is never told to slow down.
#[tokio::test]
async fn a_well_behaved_client_is_never_slowed_down() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let first = app.clock.now();
    for (n, jitter_ms) in (0u64..60).zip([300u64, 0, 600, 0, 300, 600].into_iter().cycle()) {
        app.clock.set(first + std::time::Duration::from_millis(n * 5000 + jitter_ms));
        assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending", "poll {n}");
    }
    assert_eq!(app.store.count(Call::SlowDown), 0);
}

/// A poll that changes nothing writes nothing: one read each, and no write.
#[tokio::test]
async fn a_pending_poll_writes_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let before = app.store.count(Call::Load);
    for _ in 0..5 {
        assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
        app.advance(5);
    }
    assert_eq!(app.store.count(Call::Load) - before, 5);
    assert_eq!(app.store.count(Call::Transition) + app.store.count(Call::SlowDown), 0);
}

/// TP-06, TP-07, TP-12, TP-14: after approval the tokens come at once, also to an early poll; then never again.
#[tokio::test]
async fn an_approved_request_is_handed_over_once() {
    let app = TestApp::new().await;
    let codes = app.start_with(&[("client_id", TV), ("scope", "openid")]).await;
    app.poll(TV, &codes).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let answer = app.poll(TV, &codes).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(answer.header(header::PRAGMA), "no-cache");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert!(
        body["access_token"].is_string() && body["id_token"].is_string() && body["refresh_token"].is_string()
    );
    assert!(body["expires_in"].is_u64());
    assert!(body.get("scope").is_none(), "what was asked was granted: {body}");
    assert!(!answer.text.contains("null"));
    for _ in 0..2 {
        assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
    }
}

/// TP-07: `token_type` is there also when the pool leaves it out.
#[tokio::test]
async fn token_type_is_always_there() {
    let app = TestApp::new().await;
    app.dev_pool()
        .faults()
        .set(|faults| faults.token_response = Overrides::from([("token_type", json!(null))]));
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    assert_eq!(app.poll(TV, &codes).await.json()["token_type"], "Bearer");
}

/// TP-08: the time that the tokens waited is taken off; nothing expired is handed over as good: it is renewed, or the
/// device hears `expired_token`.
#[tokio::test]
async fn expires_in_counts_from_the_hand_over() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    let answer_with = |changes| app.dev_pool().faults().set(|faults| faults.token_response = changes);
    answer_with(Overrides::from([("expires_in", json!(60))]));
    let (first, second, third) = (app.start(TV).await, app.start(TV).await, app.start(OTHER).await);
    alice.approve(&first).await;
    alice.approve(&second).await;
    answer_with(Overrides::from([("expires_in", json!(60)), ("refresh_token", json!(null))]));
    alice.approve(&third).await;
    app.advance(20);
    assert_eq!(app.poll(TV, &first).await.json()["expires_in"], 40);
    app.advance(40);
    app.dev_pool().faults().clear();
    let renewed = app.poll(TV, &second).await.json();
    assert_eq!(renewed["expires_in"], 3600);
    assert!(renewed["refresh_token"].is_string());
    assert_eq!(app.poll(OTHER, &third).await.error(), "expired_token");
}

/// TP-08: tokens that ran out while the pool is away are handed over with no life left: the approval is not lost.
#[tokio::test]
async fn an_approval_outlives_its_access_token() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    app.dev_pool()
        .faults()
        .set(|faults| faults.token_response = Overrides::from([("expires_in", json!(60))]));
    alice.approve(&codes).await;
    app.advance(60);
    app.pool.refuse_connections().await;
    let body = app.poll(TV, &codes).await.json();
    assert_eq!(body["expires_in"], 0);
    app.pool.accept_connections().await.unwrap();
    app.dev_pool().faults().clear();
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", TV),
        ("refresh_token", body["refresh_token"].as_str().unwrap()),
    ];
    assert_eq!(app.post("/token", &form).await.status, StatusCode::OK);
}

/// TP-09: no is no until the end, and then it is expired for nobody.
#[tokio::test]
async fn a_denied_request_stays_denied() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).deny(&codes).await), "denied");
    for _ in 0..3 {
        assert_eq!(app.poll(TV, &codes).await.error(), "access_denied");
        app.advance(5);
    }
}

/// TP-10: what has lapsed is recognised as lapsed, for some minutes and also well after; never pending.
#[tokio::test]
async fn a_lapsed_request_is_expired() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    app.advance(1800);
    assert_eq!(app.poll(TV, &codes).await.error(), "expired_token");
    app.advance(600);
    assert_eq!(app.poll(TV, &codes).await.error(), "expired_token");
}

/// TP-11: an approval in the last second can still be collected once, and one that nobody collected ends.
#[tokio::test]
async fn a_late_approval_can_be_collected() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| settings.min_trip = std::time::Duration::ZERO),
        ..Options::default()
    })
    .await;
    let (late, forgotten) = (app.start(TV).await, app.start(TV).await);
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    app.advance(1799);
    alice.sign_in().await;
    assert_eq!(outcome(&alice.approve(&late).await), "approved");
    assert_eq!(outcome(&alice.approve(&forgotten).await), "approved");
    app.advance(5);
    assert_eq!(app.poll(TV, &late).await.status, StatusCode::OK);
    app.advance(3600);
    assert_eq!(app.poll(TV, &forgotten).await.error(), "expired_token");
}

/// TP-12: text that was never a code is `invalid_grant`.
#[tokio::test]
async fn an_unknown_code_is_an_invalid_grant() {
    let app = TestApp::new().await;
    for code in ["x", "R#x", "%", &"A".repeat(64), &"A".repeat(5000), "ümlaut", "\u{0}"] {
        let codes = Codes { device_code: code.to_owned(), user_code: String::new() };
        assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant", "{code:?}");
    }
}

/// TP-13: another client's poll is an `invalid_grant` and leaves the request alone.
#[tokio::test]
async fn another_client_cannot_disturb_a_request() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    for _ in 0..5 {
        assert_eq!(app.poll(OTHER, &codes).await.error(), "invalid_grant");
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    Browser::alice(&app).approve(&codes).await;
    assert_eq!(app.poll(OTHER, &codes).await.error(), "invalid_grant");
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// TP-14: `scope` is there when it differs from what was asked; only the configured kinds of token are.
#[tokio::test]
async fn the_answer_tells_of_a_narrower_scope_and_leaves_out_what_is_not_due() {
    let app = TestApp::with(Options {
        clients: Box::new(|clients| {
            for client in clients {
                client.token_set = device_grant_domain::client::TokenSet { id: false, refresh: true };
            }
        }),
        ..Options::default()
    })
    .await;
    let narrow = Overrides::from([("scope", json!("openid")), ("refresh_token", json!(null))]);
    app.dev_pool().faults().set(|faults| faults.token_response = narrow);
    let codes = app.start_with(&[("client_id", TV), ("scope", "openid email")]).await;
    Browser::alice(&app).approve(&codes).await;
    let body = app.poll(TV, &codes).await.json();
    assert_eq!(body["scope"], "openid");
    assert!(body.get("id_token").is_none() && body.get("refresh_token").is_none(), "{body}");
}

/// TP-16: what else stands in a poll widens nothing.
#[tokio::test]
async fn extra_parameters_of_a_poll_are_ignored() {
    let app = TestApp::new().await;
    let codes = app.start_with(&[("client_id", TV), ("scope", "openid")]).await;
    Browser::alice(&app).approve(&codes).await;
    let mut form = poll_form(TV, &codes).to_vec();
    form.extend([("scope", "admin"), ("resource", "x")]);
    let body = app.post("/token", &form).await.json();
    assert!(body["access_token"].is_string());
    assert!(body.get("scope").is_none(), "{body}");
}

/// TP-17: from the click until the tokens are stored, polls hear nothing but pending.
#[tokio::test]
async fn polls_hear_pending_until_the_tokens_are_stored() {
    let app = Arc::new(TestApp::new().await);
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    let back = alice.person.visit(&away).await.unwrap();
    app.advance(5);
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let path = local(&back);
    let landing = alice.land(&path);
    let polling = async {
        hold.arrived().await;
        let heard = app.poll(TV, &codes).await.error();
        hold.release();
        heard
    };
    let (page, heard) = tokio::join!(landing, polling);
    assert_eq!(heard, "authorization_pending");
    assert_eq!(outcome(&page), "approved");
    app.advance(5);
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// TP-18: a store that is away costs nobody their login: `slow_down` with the same interval, and nothing stored.
#[tokio::test]
async fn a_store_outage_is_survived() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    app.poll(TV, &codes).await;
    app.store.fail(Call::Load, StoreFault::Before, u32::MAX);
    for _ in 0..3 {
        let answer = app.poll(TV, &codes).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, "slow_down"));
        assert_eq!(answer.json()["interval"], 5);
        assert_eq!(answer.header(header::RETRY_AFTER), "5");
    }
    app.store.heal();
    app.advance(5);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    Browser::alice(&app).approve(&codes).await;
    app.store.fail(Call::Transition, StoreFault::Before, 3);
    assert_eq!(app.poll(TV, &codes).await.error(), "slow_down", "the hand-over cannot be written");
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// ST-09, TP-18: nobody can tell whether a hand-over was written. Nothing has left, so the tokens wait again, and the device's
/// next poll has them, on another replica too, once.
#[tokio::test]
async fn a_hand_over_that_nobody_can_tell_of_is_made_again() {
    for fault in [StoreFault::Before, StoreFault::After] {
        let app = TestApp::new().await;
        let codes = app.start(TV).await;
        Browser::alice(&app).approve(&codes).await;
        app.store.fail(Call::Transition, fault, 3);
        // The poll's own two reads go well, and those that would tell what became of its write do not.
        app.store.fail_after(2, Call::Load, StoreFault::Before, 3);
        assert_eq!(app.poll(TV, &codes).await.error(), "slow_down", "{fault:?}");
        app.settle(0).await;
        assert_eq!(app.poll_on(1, TV, &codes).await.status, StatusCode::OK, "{fault:?}");
        assert_eq!(app.poll_on(0, TV, &codes).await.error(), "invalid_grant", "{fault:?}");
    }
}

/// TP-12, TP-18: whoever tries codes is stopped without a read, and a device beside them waits and gets its tokens.
#[tokio::test]
async fn polls_for_made_up_codes_end_in_waiting() {
    let settings = Box::new(|settings: &mut Settings| settings.unknown_code_limit = 3);
    let app = TestApp::with(Options { settings, ..Options::default() }).await;
    let codes = app.start(TV).await;
    let made_up = Codes { device_code: "made-up".to_owned(), ..codes.clone() };
    Browser::alice(&app).approve(&codes).await;
    for _ in 0..3 {
        assert_eq!(app.poll(TV, &made_up).await.error(), "invalid_grant");
    }
    let before = app.store.count(Call::Load);
    for codes in [&made_up, &codes] {
        let answer = app.poll(TV, codes).await;
        assert_eq!((answer.error().as_str(), answer.header(header::RETRY_AFTER)), ("slow_down", "5"));
    }
    assert_eq!(app.store.count(Call::Load), before);
    let elsewhere = from(post("/token", &poll_form(OTHER, &made_up)), [198, 51, 100, 1]);
    assert_eq!(app.send(elsewhere).await.error(), "invalid_grant", "elsewhere polls are answered");
    app.advance(60);
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// TP-05: polls for codes that there are count nowhere, however many they are: each is looked at.
#[tokio::test]
async fn polls_for_codes_that_there_are_are_all_looked_at() {
    let settings = Box::new(|settings: &mut Settings| settings.unknown_code_limit = 3);
    let app = TestApp::with(Options { settings, ..Options::default() }).await;
    let codes = app.start(TV).await;
    for _ in 0..5 {
        let before = app.store.count(Call::Load);
        app.poll(TV, &codes).await;
        assert!(app.store.count(Call::Load) > before);
    }
}

/// TP-18: the switch to 503.
#[tokio::test]
async fn a_switch_makes_an_outage_a_503() {
    let app = TestApp::with(Options {
        web: Box::new(|web| web.on_store_failure = OnStoreFailure::ServiceUnavailable),
        ..Options::default()
    })
    .await;
    let codes = app.start(TV).await;
    app.store.fail(Call::Load, StoreFault::Before, 1);
    let answer = app.poll(TV, &codes).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(answer.header(header::RETRY_AFTER), "5");
}

/// TP-18: the pool away at the callback: polls go on, the person is told the truth, and the next poll after the lease
/// fetches the tokens.
#[tokio::test]
async fn a_pool_outage_at_the_callback_is_survived() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let back = alice.person.visit(&away).await.unwrap();
    app.dev_pool().faults().once(Endpoint::Token, Fault::Drop);
    assert_eq!(outcome(&alice.land(&local(&back)).await), "pending");
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    app.advance(18);
    assert_eq!(app.poll_on(1, TV, &codes).await.error(), "authorization_pending");
    app.settle(1).await;
    assert_eq!(outcome(&alice.get("/device/done").await), "approved");
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// ST-08: with eventual reads frozen in the past no poll hears a wrong end, and the tokens still come.
#[tokio::test]
async fn a_stale_read_ends_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    app.store.freeze_eventual_reads();
    app.poll(TV, &codes).await;
    Browser::alice(&app).deny(&codes).await;
    app.advance(5);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending", "stale, and therefore no end");

    let fresh = app.start(TV).await;
    Browser::alice(&app).approve(&fresh).await;
    assert_eq!(app.poll(TV, &fresh).await.status, StatusCode::OK);
    app.advance(5);
    assert_eq!(app.poll(TV, &fresh).await.error(), "invalid_grant");
}

/// ST-08: a request that a stale copy has never heard of is not unknown.
#[tokio::test]
async fn a_read_that_misses_a_fresh_request_ends_nothing() {
    let app = TestApp::new().await;
    app.store.blind_eventual_reads();
    let codes = app.start(TV).await;
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    Browser::alice(&app).approve(&codes).await;
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
    assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
}

/// ST-08: with `poll_reads = "consistent"` what was approved on one replica is collected on the other at once.
#[tokio::test]
async fn consistent_polls_see_every_approval() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| settings.poll_reads = Consistency::Strong),
        ..Options::default()
    })
    .await;
    app.store.freeze_eventual_reads();
    let codes = app.start(TV).await;
    app.poll_on(1, TV, &codes).await;
    Browser::alice(&app).approve(&codes).await;
    assert_eq!(app.poll_on(1, TV, &codes).await.status, StatusCode::OK);
}

/// ST-09: the answer to the hand-over's write is lost: the device gets its tokens all the same, once.
#[tokio::test]
async fn a_lost_answer_of_the_store_is_recognised() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    app.store.fail(Call::Transition, StoreFault::After, 1);
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
    assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
}

/// TP-11, ST-13: after the hand-over the tokens are gone from the store.
#[tokio::test]
async fn the_store_forgets_tokens_at_the_hand_over() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    app.poll(TV, &codes).await;
    let id = RequestId::of(&DeviceCode::new(&*codes.device_code));
    let stored = app.store.load(&id, Consistency::Strong).await.unwrap().unwrap();
    assert_eq!(stored.state, device_grant_domain::request::RequestState::Redeemed(None));
    assert!(stored.swept_at() > app.clock.now());
}
