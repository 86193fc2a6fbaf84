//! `polls.poll_pace`: one pace for each replica, or one for all.

use std::time::Duration;

use device_grant_domain::{Clock, PollPace};
use device_grant_testkit::{Call, StoreFault};

use super::app::*;
use super::browser::Browser;

async fn app(pace: PollPace) -> TestApp {
    let settings = Box::new(move |settings: &mut device_grant_domain::Settings| settings.poll_pace = pace);
    TestApp::with(Options { settings, ..Options::default() }).await
}

/// What each of `polls` hears, by two replicas in turn, a poll every `ms` milliseconds.
async fn in_turn(app: &TestApp, ms: u64, polls: usize) -> Vec<String> {
    let codes = app.start(TV).await;
    let mut heard = Vec::new();
    for poll in 0..polls {
        heard.push(app.poll_on(poll % 2, TV, &codes).await.error());
        app.clock.advance(Duration::from_millis(ms));
    }
    heard
}

/// TP-03, DA-02: two replicas with a memory each tolerate twice the pace; where they share it they do not.
#[tokio::test]
async fn replicas_that_share_the_pace_see_one() {
    let apart = in_turn(&app(PollPace::Memory).await, 2500, 8).await;
    assert_eq!(apart, ["authorization_pending"; 8]);
    let shared = in_turn(&app(PollPace::Shared).await, 2500, 3).await;
    assert_eq!(shared, ["authorization_pending", "authorization_pending", "slow_down"]);
}

/// TP-03, TP-04, TP-05, TP-06: also on another replica: the first poll is free, an early one is told the new pace, and
/// whoever obeys is heard again.
#[tokio::test]
async fn a_client_that_obeys_a_shared_pace_is_not_locked_in() {
    let app = app(PollPace::Shared).await;
    let codes = app.start(TV).await;
    assert_eq!(app.poll_on(0, TV, &codes).await.error(), "authorization_pending");
    app.clock.advance(Duration::from_millis(500));
    let early = app.poll_on(1, TV, &codes).await;
    assert_eq!((early.error().as_str(), &early.json()["interval"]), ("slow_down", &10.into()));
    for replica in [0, 1, 1, 0] {
        app.advance(10);
        assert_eq!(app.poll_on(replica, TV, &codes).await.error(), "authorization_pending");
    }
    assert_eq!(app.store.count(Call::SlowDown), 1);
}

/// TP-05: a client that keeps the pace is never slowed down, though the second replica's clock is two seconds behind and
/// the network jitters; each poll costs one write.
#[tokio::test]
async fn clocks_that_differ_are_no_devices_fault() {
    let app = app(PollPace::Shared).await;
    let codes = app.start(TV).await;
    let first = app.clock.now();
    for (n, jitter_ms) in (0..60_u64).zip([300, 0, 600, 0, 300, 600].into_iter().cycle()) {
        let replica = usize::from(n % 3 == 1);
        let ahead = if replica == 0 { 2000 } else { 0 };
        app.clock.set(first + Duration::from_millis(n * 5000 + jitter_ms + ahead));
        assert_eq!(app.poll_on(replica, TV, &codes).await.error(), "authorization_pending", "poll {n}");
    }
    assert_eq!((app.store.count(Call::CountFrom), app.store.count(Call::SlowDown)), (60, 0));
}

/// TP-03, ST-08: what a read has not seen yet, the write sees.
#[tokio::test]
async fn a_stale_read_hides_no_poll() {
    let app = app(PollPace::Shared).await;
    let codes = app.start(TV).await;
    app.store.freeze_eventual_reads();
    assert_eq!(app.poll_on(0, TV, &codes).await.error(), "authorization_pending");
    assert_eq!(app.poll_on(1, TV, &codes).await.error(), "slow_down");
}

/// TP-06: what is decided is told, also to an early poll, and is counted no more.
#[tokio::test]
async fn a_decided_request_answers_an_early_poll() {
    let app = app(PollPace::Shared).await;
    let codes = app.start(TV).await;
    assert_eq!(app.poll_on(0, TV, &codes).await.error(), "authorization_pending");
    Browser::alice(&app).deny(&codes).await;
    assert_eq!(app.poll_on(1, TV, &codes).await.error(), "access_denied");
    assert_eq!(app.store.count(Call::CountFrom), 1);
}

/// TP-05, TP-18: while polls cannot be counted, or nobody can tell whether they were, a device that keeps the pace goes on
/// as before, and each replica still judges by its own memory.
#[tokio::test]
async fn polls_that_cannot_be_counted_go_on() {
    for fault in [StoreFault::Before, StoreFault::After] {
        let app = app(PollPace::Shared).await;
        let codes = app.start(TV).await;
        app.store.fail(Call::CountFrom, fault, 3);
        for _ in 0..3 {
            assert_eq!(app.poll_on(0, TV, &codes).await.error(), "authorization_pending", "{fault:?}");
            app.advance(5);
        }
        assert_eq!(app.poll_on(1, TV, &codes).await.error(), "authorization_pending", "{fault:?}");
        app.advance(5);
        app.store.fail(Call::CountFrom, fault, 2);
        assert_eq!(app.poll_on(0, TV, &codes).await.error(), "authorization_pending", "{fault:?}");
        assert_eq!(app.poll_on(0, TV, &codes).await.error(), "slow_down", "{fault:?}");
    }
}
