//! More than can be answered at once, and those who keep a connection without saying anything.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, StatusCode, header};
use device_grant_dev_pool::Endpoint;
use device_grant_testkit::Call;
use device_grant_web::{Lane, OnStoreFailure, WebConfig};
use hyper::body::Frame;
use tokio::task::JoinSet;

use super::app::*;
use super::browser::{Browser, outcome};

async fn with_places(places: usize) -> Arc<TestApp> {
    Arc::new(TestApp::with(Options { places, ..Options::default() }).await)
}

fn refresh(token: &str) -> [(&'static str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", token)]
}

fn made_up() -> Codes {
    Codes { device_code: "made-up".to_owned(), user_code: String::new() }
}

/// UP-05: refreshes that wait for a pool that hangs take every place of those who wait for it, and no other: polls, starts
/// and pages go on, and further refreshes hear at once that they should come again.
#[tokio::test]
async fn a_hung_pool_slows_no_poll() {
    let app = with_places(2).await;
    let mut tokens = Vec::new();
    for who in ["alice", "bob", "alice"] {
        let codes = app.start(TV).await;
        assert_eq!(outcome(&Browser::of(&app, who).approve(&codes).await), "approved");
        tokens.push(app.poll(TV, &codes).await.json()["refresh_token"].as_str().unwrap().to_owned());
    }
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let other = app.dev_pool().faults().hold_next(Endpoint::Token);
    let mut waiting = JoinSet::new();
    for token in &tokens[..2] {
        let (app, token) = (Arc::clone(&app), token.clone());
        waiting.spawn(async move { app.post("/token", &refresh(&token)).await.status });
    }
    hold.arrived().await;
    other.arrived().await;
    assert_eq!(app.load.busy(Lane::Pool), 2);
    let refused = app.post("/token", &refresh(&tokens[2])).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(refused.header(header::RETRY_AFTER), "5");
    let codes = app.start(TV).await;
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_eq!(Browser::alice(&app).get("/device").await.status, StatusCode::OK);
    hold.release();
    other.release();
    assert_eq!(waiting.join_all().await, [StatusCode::OK; 2]);
    assert_eq!((app.load.busy(Lane::Pool), app.load.refused(Lane::Pool)), (0, 1));
    assert_eq!(app.post("/token", &refresh(&tokens[2])).await.status, StatusCode::OK, "nothing was lost");
}

/// TP-18: whoever finds no place is told so at once, in words that make it come back, and costs nothing: no read, no call.
#[tokio::test]
async fn who_finds_no_place_is_told_when_to_come_back() {
    let app = with_places(0).await;
    let poll = app.poll(TV, &made_up()).await;
    assert_eq!((poll.status.as_u16(), poll.error().as_str()), (400, "slow_down"));
    assert_eq!((poll.json()["interval"].as_u64(), poll.header(header::RETRY_AFTER)), (Some(5), "5"));
    let others: [(&str, &[(&str, &str)]); 4] = [
        ("/device_authorization", &[("client_id", TV)]),
        ("/token", &[("client_id", TV)]),
        ("/token", &refresh("dgr1.made-up")),
        ("/revoke", &[("client_id", TV), ("token", "made-up")]),
    ];
    for (path, form) in others {
        let refused = app.post(path, form).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
        assert_eq!(refused.header(header::RETRY_AFTER), "5", "{path}");
    }
    for path in ["/device", "/callback?code=a&state=b"] {
        let page = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((page.status.as_u16(), page.header(header::RETRY_AFTER)), (503, "5"), "{path}");
        assert!(page.text.contains("Many people are here right now"), "{}", page.text);
    }
    for path in ["/livez", "/readyz", "/.well-known/oauth-authorization-server", "/device/assets/style.css"] {
        let answer = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    assert_eq!(Lane::ALL.map(|lane| app.load.refused(lane)), [3, 1, 3]);
    assert_eq!((app.store.count(Call::Load), app.store.count(Call::Create)), (0, 0));
}

/// TP-18: the switch for polls that cannot be decided holds for those without a place too.
#[tokio::test]
async fn the_switch_makes_a_refused_poll_a_503() {
    let web = Box::new(|web: &mut WebConfig| web.on_store_failure = OnStoreFailure::ServiceUnavailable);
    let app = TestApp::with(Options { places: 0, web, ..Options::default() }).await;
    let poll = app.poll(TV, &made_up()).await;
    assert_eq!((poll.status.as_u16(), poll.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(poll.header(header::RETRY_AFTER), "5");
}

/// A form whose second half never comes.
struct Unfinished(Option<Bytes>);

impl HttpBody for Unfinished {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |begun| Poll::Ready(Some(Ok(Frame::data(begun)))))
    }
}

fn unfinished(path: &str) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Body::new(Unfinished(Some(Bytes::from_static(b"client_id="))))).unwrap()
}

/// HI-02: a body that does not arrive is given up, and until then it takes no place from anybody.
#[tokio::test]
async fn slow_bodies_are_given_up_and_take_no_place() {
    let web = Box::new(|web: &mut WebConfig| web.body_timeout = Duration::from_millis(200));
    let app = Arc::new(TestApp::with(Options { places: 1, web, ..Options::default() }).await);
    let mut slow = JoinSet::new();
    for path in ["/token", "/revoke", "/device_authorization", "/device"].repeat(5) {
        let app = Arc::clone(&app);
        slow.spawn(async move { (path, app.send(unfinished(path)).await) });
    }
    let codes = app.start(TV).await;
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    for (path, given_up) in slow.join_all().await {
        assert_eq!(given_up.status, StatusCode::REQUEST_TIMEOUT, "{path}");
        assert_eq!(given_up.header(header::CONNECTION), "close", "{path}");
        if path == "/device" {
            assert!(given_up.text.contains("Your connection was too slow"), "{}", given_up.text);
        } else {
            assert_eq!(given_up.error(), "invalid_request");
        }
    }
    assert_eq!(Lane::ALL.map(|lane| app.load.refused(lane)), [0, 0, 0]);
}
