use axum::http::StatusCode;
use device_grant_dev_pool::Endpoint;
use device_grant_testkit::{Call, StoreFault};

use super::app::*;
use super::browser::{Browser, local, outcome};

/// ST-02: fifty polls at once over two replicas: one gets the tokens, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_polls_one_gets_the_tokens() {
    let app = std::sync::Arc::new(TestApp::new().await);
    for round in 0..100 {
        let codes = app.start(TV).await;
        let mut alice = Browser::alice(&app);
        assert_eq!(outcome(&alice.approve(&codes).await), "approved");
        let polls = (0..50).map(|n| {
            let (app, codes) = (app.clone(), codes.clone());
            tokio::spawn(async move { app.poll_on(n % 2, TV, &codes).await })
        });
        let mut handed_over = 0;
        for poll in polls.collect::<Vec<_>>() {
            let answer = poll.await.unwrap();
            match answer.status {
                StatusCode::OK => handed_over += 1,
                _ => assert!(["invalid_grant", "slow_down"].contains(&answer.error().as_str()), "{answer:?}"),
            }
        }
        assert_eq!(handed_over, 1, "round {round}");
        app.advance(60);
    }
}

/// ST-03: one approves while another denies: one wins, and everybody hears the same story.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn approve_and_deny_at_once_tell_one_story() {
    let app = TestApp::new().await;
    for round in 0..100 {
        let codes = app.start(TV).await;
        let (mut alice, mut bob) = (Browser::alice(&app), Browser::of(&app, "bob"));
        bob.replica = 1;
        let page = bob.enter(&codes.user_code).await;
        let back = alice.way_back(&codes).await;
        let bobs = async {
            bob.decide(&page, "#deny").await;
            bob.get("/device/done").await
        };
        let (approving, denying) = tokio::join!(alice.land(&back), bobs);
        let told = (outcome(&approving), outcome(&denying));
        let answer = app.poll(TV, &codes).await;
        if answer.status == StatusCode::OK {
            assert_eq!(told, ("approved".to_owned(), "taken".to_owned()), "round {round}");
        } else {
            assert_eq!(answer.error(), "access_denied", "round {round}: {told:?}");
            assert_eq!(told, ("denied".to_owned(), "denied".to_owned()), "round {round}");
        }
        app.advance(61);
    }
}

/// ST-04: a device that polls far too fast while its person approves is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn polling_in_a_loop_overwrites_no_approval() {
    let app = TestApp::new().await;
    for _ in 0..100 {
        let codes = app.start(TV).await;
        let mut alice = Browser::alice(&app);
        let device = async {
            loop {
                let answer = app.poll(TV, &codes).await;
                if answer.status == StatusCode::OK {
                    break;
                }
                assert!(["authorization_pending", "slow_down"].contains(&answer.error().as_str()));
                tokio::task::yield_now().await;
            }
        };
        let (page, ()) = tokio::join!(alice.approve(&codes), device);
        assert_eq!(outcome(&page), "approved");
        app.advance(61);
    }
}

/// ST-07: a user code that was issued on one replica is found on the other at once.
#[tokio::test]
async fn a_code_is_found_everywhere_at_once() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| {
            settings.start_limits.per_network = 10_000;
            settings.start_limits.per_client_and_network = 10_000;
        }),
        ..Options::default()
    })
    .await;
    let mut alice = Browser::alice(&app);
    alice.replica = 1;
    for _ in 0..1000 {
        let codes = app.start(TV).await;
        let page = alice.enter(&codes.user_code).await;
        assert!(super::browser::text(&page, "#authorize").is_some(), "{}", page.text);
    }
}

/// ST-09: the answer to each write on the way is lost in turn, and the login still ends well, once.
#[tokio::test]
async fn a_lost_answer_at_any_write_loses_no_login() {
    for call in [Call::Create, Call::Transition, Call::Spend] {
        for skip in 0..3 {
            let app = TestApp::new().await;
            let mut alice = Browser::alice(&app);
            if call != Call::Spend {
                alice.sign_in().await;
            }
            let codes = match call {
                Call::Create => {
                    app.store.fail(call, StoreFault::After, 1);
                    assert_eq!(app.post("/device_authorization", &[("client_id", TV)]).await.status, 503);
                    app.start(TV).await
                }
                _ => app.start(TV).await,
            };
            let away = match call {
                Call::Spend => {
                    app.store.fail(call, StoreFault::After, 1);
                    let stranded = alice.land("/device").await;
                    assert_eq!(stranded.status, StatusCode::SERVICE_UNAVAILABLE);
                    alice.authorize(&codes).await
                }
                _ => alice.authorize(&codes).await,
            };
            let back = local(&alice.person.visit(&away).await.unwrap());
            // The writes from here: the claim, the approval, the hand-over.
            if call == Call::Transition && skip < 2 {
                app.store.fail(call, StoreFault::After, skip + 1);
            }
            assert_eq!(outcome(&alice.land(&back).await), "approved", "{call:?} {skip}");
            if call == Call::Transition && skip == 2 {
                app.store.fail(call, StoreFault::After, 1);
            }
            assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK, "{call:?} {skip}");
            assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
        }
    }
}

/// ST-01: after every end, every action again changes nothing.
#[tokio::test]
async fn an_end_is_an_end() {
    let app = TestApp::new().await;
    let (yes, no) = (app.start(TV).await, app.start(TV).await);
    let (mut alice, mut bob) = (Browser::alice(&app), Browser::of(&app, "bob"));
    let pages = [bob.enter(&yes.user_code).await, bob.enter(&no.user_code).await];
    alice.approve(&yes).await;
    alice.deny(&no).await;
    assert_eq!(app.poll(TV, &yes).await.status, StatusCode::OK);
    for page in &pages {
        bob.decide(page, "#deny").await;
        let authorized = bob.decide(page, "#authorize").await;
        assert_ne!(
            authorized.status,
            StatusCode::SEE_OTHER,
            "nobody is sent to the pool for a decided request"
        );
    }
    assert_eq!(app.poll(TV, &yes).await.error(), "invalid_grant");
    assert_eq!(app.poll(TV, &no).await.error(), "access_denied");
}

/// CB-12, UI-09: two people on one code: the first to finish wins, the second is told, and nothing of theirs stays at the
/// pool.
#[tokio::test]
async fn of_two_people_on_one_code_one_wins() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let (mut alice, mut bob) = (Browser::alice(&app), Browser::of(&app, "bob"));
    let (hers, his) = (alice.authorize(&codes).await, bob.authorize(&codes).await);
    let late = bob.enter(&codes.user_code).await;
    let back = alice.person.visit(&hers).await.unwrap();
    assert_eq!(outcome(&alice.land(&local(&back)).await), "approved");
    let exchanges = app.dev_pool().requests().count(Endpoint::Token);
    let back = bob.person.visit(&his).await.unwrap();
    assert_eq!(outcome(&bob.land(&local(&back)).await), "taken");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), exchanges, "his code is not exchanged");
    assert_eq!(outcome(&bob.decide(&late, "#authorize").await), "taken");
    bob.decide(&late, "#deny").await;
    assert_eq!(outcome(&bob.get("/device/done").await), "taken");
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}
