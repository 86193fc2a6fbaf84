//! The audit trail.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use device_grant_domain::policy::Proximity;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::app::*;
use super::browser::Browser;
use super::policies::with_policies;

/// The lines of one target, field by field: of the audit trail, unless it is told of another.
#[derive(Clone)]
pub struct Trail {
    lines: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    target: &'static str,
}

impl Default for Trail {
    fn default() -> Self {
        Self::of("device_grant::audit")
    }
}

#[derive(Default)]
struct Line(BTreeMap<String, String>);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Subscriber for Trail {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.target
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Trail {
    /// No lines yet.
    pub fn of(target: &'static str) -> Self {
        Self { lines: Arc::default(), target }
    }

    /// What happened, in order, and forgets it.
    pub fn take(&self) -> Vec<BTreeMap<String, String>> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

fn names(lines: &[BTreeMap<String, String>]) -> Vec<(&str, &str)> {
    lines.iter().map(|line| (line["event"].as_str(), line["outcome"].as_str())).collect()
}

/// SEC-15: issue, view, authorize, approve, hand-over, deny and failure leave a line each, with the request and client, a
/// coarse network and a hash for the account.
#[tokio::test]
async fn every_step_leaves_a_line() {
    let trail = Trail::default();
    let _guard = tracing::subscriber::set_default(trail.clone());
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.enter("0000-0000").await;
    alice.approve(&codes).await;
    app.poll(TV, &codes).await;
    let login = trail.take();
    assert_eq!(
        names(&login),
        [
            ("issue", "issued"),
            ("sign_in", "signed_in"),
            ("view", "no_match"),
            ("view", "shown"),
            ("authorize", "sent_to_pool"),
            ("approve", "approved"),
            ("hand_over", "handed_over"),
        ]
    );
    let of = |name: &str| login.iter().find(|line| line["event"] == name).unwrap();
    let requests: Vec<_> = login.iter().filter_map(|line| line.get("request")).collect();
    assert!(requests.len() == 5 && requests.iter().all(|id| *id == requests[0]));
    assert_eq!((of("issue")["client"].as_str(), of("issue")["network"].as_str()), (TV, "192.0.2.x"));
    assert_eq!(of("authorize")["account"], of("approve")["account"]);

    let denied = app.start(TV).await;
    alice.deny(&denied).await;
    let failed = app.start(TV).await;
    app.dev_pool().faults().set(|pool| pool.id_token_claims = [("nonce", json!("other"))].into());
    alice.approve(&failed).await;
    app.post("/device_authorization", &[("client_id", TV), ("scope", "admin")]).await;
    let more = trail.take();
    for expected in [("deny", "denied"), ("failure", "exchange"), ("issue", "invalid_scope")] {
        assert!(names(&more).contains(&expected), "{expected:?} in {more:?}");
    }
}

/// SEC-15: a sign-in that fails, a refresh token that is not good and a token that is given up leave a line; a refresh that
/// works leaves none.
#[tokio::test]
async fn what_follows_a_login_leaves_a_line() {
    let app = TestApp::new().await;
    let codes = app.start_confidential(CONSOLE).await;
    let mut alice = Browser::alice(&app);
    alice.approve(&codes).await;
    let tokens = app.poll_confidential(CONSOLE, &codes).await.json();
    let good = tokens["refresh_token"].as_str().unwrap();
    let trail = Trail::default();
    let _guard = tracing::subscriber::set_default(trail.clone());
    let send =
        async |path, form: &[(&str, &str)]| app.send(with_basic(post(path, form), CONSOLE, SECRET)).await;
    for token in [good, "bad"] {
        send("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    }
    send("/revoke", &[("token", good)]).await;
    app.dev_pool().faults().set(|pool| pool.id_token_claims = [("nonce", json!("other"))].into());
    Browser::of(&app, "bob").sign_in().await;
    let lines = trail.take();
    let expected = [("refresh", "invalid_grant"), ("revoke", "revoked"), ("sign_in", "failed")];
    assert_eq!(names(&lines), expected);
    assert_eq!((lines[0]["client"].as_str(), lines[0]["network"].as_str()), (CONSOLE, "192.0.2.x"));
}

/// SEC-07, SEC-15: no code, token, name or whole address is in the trail.
#[tokio::test]
async fn no_secret_is_in_the_trail() {
    let trail = Trail::default();
    let _guard = tracing::subscriber::set_default(trail.clone());
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.approve(&codes).await;
    let tokens = app.poll(TV, &codes).await.json();
    for _ in 0..4 {
        Browser::of(&app, "bob").enter(&app.start(TV).await.user_code).await;
    }
    let lines = format!("{:?}", trail.take());
    let plain = codes.user_code.replace('-', "");
    let secrets = [
        codes.device_code.as_str(),
        &codes.user_code,
        &plain,
        tokens["access_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
        "dev-alice",
        "Alice",
        "alice@example.com",
        "192.0.2.1",
    ];
    for secret in secrets {
        assert!(!lines.contains(secret), "{secret}");
    }
}

/// SEC-15: a code that many people open raises an alarm.
#[tokio::test]
async fn a_code_that_goes_around_is_in_the_trail() {
    let trail = Trail::default();
    let _guard = tracing::subscriber::set_default(trail.clone());
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    for _ in 0..3 {
        Browser::of(&app, "bob").enter(&codes.user_code).await;
    }
    assert!(!names(&trail.take()).contains(&("view", "seen_by_many")));
    Browser::alice(&app).enter(&codes.user_code).await;
    assert!(names(&trail.take()).contains(&("view", "seen_by_many")));
}

/// SEC-14, SEC-15: what a policy refuses is in the trail, with the request where there is one.
#[tokio::test]
async fn what_a_policy_refuses_is_in_the_trail() {
    let trail = Trail::default();
    let _guard = tracing::subscriber::set_default(trail.clone());
    let app = TestApp::with(with_policies(|policies| {
        policies.proximity = Proximity::Refuse;
        policies.own_device_check = true;
        policies.start_networks = vec!["192.0.2.0/24".parse().unwrap()];
    }))
    .await;
    let mut elsewhere = post("/device_authorization", &[("client_id", TV)]);
    elsewhere.extensions_mut().insert(SocketAddr::from(([203, 0, 113, 9], 4711)));
    app.send(elsewhere).await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    alice.decide(&page, "#authorize").await;
    alice.address = Some("203.0.113.9".parse().unwrap());
    alice.decide(&page, "#authorize").await;
    let lines = trail.take();
    let refused =
        [("issue", "foreign_network"), ("authorize", "not_ticked"), ("authorize", "another_network")];
    for expected in refused {
        assert!(names(&lines).contains(&expected), "{expected:?} in {lines:?}");
    }
    let far = lines.iter().find(|line| line["outcome"] == "another_network").unwrap();
    assert!(far.contains_key("request") && far.contains_key("account") && far["network"] == "203.0.113.x");
}
