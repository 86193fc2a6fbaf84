//! The keyring in life: rotations over several replicas, and replicas that lack a key.

use axum::http::{Method, StatusCode};
use device_grant_domain::records::RecordKind;
use device_grant_domain::{KeyMaterial, Purpose, Timestamp};

use serde_json::json;

use super::app::*;
use super::browser::{Browser, local, outcome, text};
use super::registry;

const REPLICAS: usize = 3;

async fn three() -> TestApp {
    TestApp::with(Options { replicas: REPLICAS, ..Options::default() }).await
}

/// The keys with one more of each purpose, which does not seal yet.
fn with_second(keys: &[KeyMaterial]) -> Vec<KeyMaterial> {
    let fresh = keys.iter().map(|key| KeyMaterial {
        number: 2,
        active: false,
        activated_at: None,
        secret: [key.secret[0] ^ 0xff; 32].into(),
        ..key.clone()
    });
    keys.iter().cloned().chain(fresh).collect()
}

/// The second key of each purpose seals, since `at`.
fn activated(keys: &[KeyMaterial], at: Timestamp) -> Vec<KeyMaterial> {
    let second = keys.iter().map(|key| {
        let active = key.number == 2;
        KeyMaterial { active, activated_at: active.then_some(at), ..key.clone() }
    });
    second.collect()
}

fn without_first(keys: &[KeyMaterial], purpose: Purpose) -> Vec<KeyMaterial> {
    keys.iter().filter(|key| key.number == 2 || key.purpose != purpose).cloned().collect()
}

/// A login under way, whose every step reaches another replica.
struct Login<'a> {
    codes: Codes,
    alice: Browser<'a>,
    at: usize,
    step: usize,
    page: Option<Answer>,
    back: String,
}

impl<'a> Login<'a> {
    async fn start(app: &'a TestApp, at: usize) -> Login<'a> {
        let answer = app.send_to(at % REPLICAS, post("/device_authorization", &[("client_id", TV)])).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Login {
            codes: codes(&answer),
            alice: Browser::alice(app),
            at,
            step: 0,
            page: None,
            back: String::new(),
        }
    }

    /// One more step on the next replica; the refresh token once the device has it.
    async fn go_on(&mut self, app: &TestApp) -> Option<String> {
        self.at += 1;
        self.step += 1;
        let replica = self.at % REPLICAS;
        self.alice.replica = replica;
        match self.step {
            1 => self.page = Some(self.alice.enter(&self.codes.user_code).await),
            2 => {
                let page = self.page.take().unwrap();
                assert!(text(&page, "#authorize").is_some(), "the code is known everywhere: {}", page.text);
                let away = self.alice.press(&page, "#authorize").await;
                self.back = local(&self.alice.person.visit(&away).await.unwrap());
            }
            3 => assert_eq!(outcome(&self.alice.land(&self.back).await), "approved"),
            _ => {
                let answer = app.poll_on(replica, TV, &self.codes).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                return Some(answer.json()["refresh_token"].as_str().unwrap().to_owned());
            }
        }
        None
    }
}

/// ST-11, CA-15: a rotation, replica by replica, with logins, refreshes and client authentications under way at every point
/// of it: none is lost, and once the old keys are gone nothing depends on them.
#[tokio::test]
async fn a_rolling_rotation_loses_nobody() {
    let app = three().await;
    let secret = registry::register(&app).await;
    let added = with_second(&app.keys);
    let activated = activated(&added, app.services[0].clock.now());
    let retired = without_first(&activated, Purpose::Request);
    let mut logins: Vec<Login<'_>> = Vec::new();
    let mut refresh_tokens: Vec<String> = Vec::new();
    for (phase, keys) in [added, activated, retired].iter().enumerate() {
        if phase == 2 {
            // What was sealed under the old request key has run out; a device that rests has not.
            app.advance(1800 + 3600);
            assert!(logins.is_empty(), "they all end before the old key goes");
        }
        for replica in 0..REPLICAS {
            app.services[replica].keyring.replace(keys.clone()).unwrap();
            for service in 0..REPLICAS {
                app.services[service].tend_keys(&service.to_string()).await.unwrap();
                assert_eq!(app.services[service].missing_key(), None);
            }
            logins.push(Login::start(&app, replica).await);
            for other in 0..REPLICAS {
                let known = registry::start(&app, other, secret.expose()).await;
                assert_eq!(known.status, StatusCode::OK, "{known:?}");
                settled(&app).await;
                registry::know(&app, &registry::stored(&app).await.secrets);
            }
            refresh_tokens = refresh(&app, refresh_tokens, replica).await;
            refresh_tokens.extend(step(&app, &mut logins).await);
        }
        while phase > 0 && !logins.is_empty() {
            refresh_tokens.extend(step(&app, &mut logins).await);
        }
    }
    assert_eq!(refresh_tokens.len(), 3 * REPLICAS);
    // Every token was sealed anew at its refresh, so the old durable key can go as well.
    let refreshed = refresh(&app, refresh_tokens, 0).await;
    let last = without_first(&app_keys(&app), Purpose::Durable);
    assert_eq!(registry::stored(&app).await.secrets[0].key, 2);
    for service in &app.services {
        service.keyring.replace(last.clone()).unwrap();
    }
    assert_eq!(registry::start(&app, 2, secret.expose()).await.status, StatusCode::OK);
    assert_eq!(refresh(&app, refreshed, 1).await.len(), 3 * REPLICAS);
}

/// What was begun beside an answer is done.
async fn settled(app: &TestApp) {
    for service in &app.services {
        service.tasks.close();
        service.tasks.wait().await;
    }
}

fn app_keys(app: &TestApp) -> Vec<KeyMaterial> {
    without_first(&activated(&with_second(&app.keys), Timestamp::default()), Purpose::Request)
}

/// Each login does one step; refresh tokens of those that are done.
async fn step(app: &TestApp, logins: &mut Vec<Login<'_>>) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut going_on = Vec::new();
    for mut login in logins.drain(..) {
        match login.go_on(app).await {
            Some(token) => tokens.push(token),
            None => going_on.push(login),
        }
    }
    *logins = going_on;
    tokens
}

/// Every device refreshes, each at another replica.
async fn refresh(app: &TestApp, tokens: Vec<String>, first: usize) -> Vec<String> {
    let mut refreshed = Vec::new();
    for (at, token) in tokens.into_iter().enumerate() {
        let form = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", &token)];
        let answer = app.send_to((first + at) % REPLICAS, post("/token", &form)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        refreshed.push(answer.json()["refresh_token"].as_str().map_or(token.clone(), str::to_owned));
    }
    refreshed
}

/// ST-11, UC-08: a replica that lacks a key which is active elsewhere says so, is not ready, and takes no code for unknown,
/// no refresh token for bad and no login for lost.
#[tokio::test]
async fn a_replica_that_lacks_a_key_says_so() {
    let app = TestApp::new().await;
    let new_keys = without_first(&app_keys(&app), Purpose::Durable);
    app.services[1].keyring.replace(activated(&new_keys, app.services[1].clock.now())).unwrap();
    for _ in 0..2 {
        app.services[1].tend_keys("new").await.unwrap();
        app.services[0].tend_keys("old").await.unwrap();
    }
    assert_eq!(app.services[1].missing_key(), None);
    let missing = app.services[0].missing_key().unwrap().to_string();
    assert!(missing.starts_with("request-2-"), "{missing}");
    let ready = app.send_from(0, BALANCER, request(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text.contains(&missing), "{}", ready.text);
    assert_eq!(app.send_to(1, request(Method::GET, "/readyz")).await.status, StatusCode::OK);

    let codes = codes(&app.send_to(1, post("/device_authorization", &[("client_id", TV)])).await);
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "not: no such code");

    let mut bob = Browser::of(&app, "bob");
    bob.replica = 1;
    let back = bob.way_back(&codes).await;
    bob.replica = 0;
    assert_eq!(bob.get(&back).await.status, StatusCode::SERVICE_UNAVAILABLE, "not: begun in another browser");
    bob.replica = 1;
    assert_eq!(outcome(&bob.land(&back).await), "approved");
    assert_eq!(app.poll_on(0, TV, &codes).await.error(), "slow_down", "the mailbox does not open here");
    let answer = app.poll_on(1, TV, &codes).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", token.as_str())];
    let refused = app.send_to(0, post("/token", &form)).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    let refused = app.send_to(0, post("/revoke", &[("client_id", TV), ("token", token.as_str())])).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(app.send_to(1, post("/token", &form)).await.status, StatusCode::OK);

    app.services[0].keyring.replace(new_keys).unwrap();
    app.services[0].tend_keys("old").await.unwrap();
    assert_eq!(app.services[0].missing_key(), None);
    assert_eq!(app.send_to(0, request(Method::GET, "/readyz")).await.status, StatusCode::OK);
}

/// SEC-08: a key that somebody wrote into the table as active from some later day on makes no replica unready.
#[tokio::test]
async fn a_key_of_the_future_is_nobodys() {
    let app = TestApp::new().await;
    app.services[0].tend_keys("one").await.unwrap();
    let records = &app.services[0].records;
    for since in [u64::MAX, (app.clock_s() + 3600) * 1000] {
        let version = records.record(RecordKind::Key, "active/request").await.unwrap().unwrap().version;
        let forged = json!({ "key": "request-9-deadbeef", "since": since }).to_string();
        assert!(
            records.put_record(RecordKind::Key, "active/request", (&forged, version), None).await.unwrap()
        );
        for service in &app.services {
            service.tend_keys("one").await.unwrap();
            assert_eq!(service.missing_key(), None);
        }
    }
}

/// Two replicas whose keyrings use one number for two keys: the second says so.
#[tokio::test]
async fn one_number_for_two_keys_is_noticed() {
    let app = TestApp::new().await;
    let others = app.keys.iter().map(|key| KeyMaterial { secret: [7; 32].into(), ..key.clone() });
    app.services[1].keyring.replace(others).unwrap();
    app.services[0].tend_keys("one").await.unwrap();
    app.services[1].tend_keys("other").await.unwrap();
    assert_eq!(app.services[0].missing_key(), None);
    assert!(app.services[1].missing_key().unwrap().to_string().starts_with("request-1-"));
}

/// A durable key that still opens refresh tokens is known to be in use.
#[tokio::test]
async fn the_use_of_an_old_durable_key_is_remembered() {
    let app = TestApp::new().await;
    let login = app.start(TV).await;
    Browser::alice(&app).approve(&login).await;
    let token = app.poll(TV, &login).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let now = app.services[0].clock.now();
    app.services[0].keyring.replace(activated(&with_second(&app.keys), now)).unwrap();
    let records = &*app.services[0].records;
    app.services[0].tend_keys("one").await.unwrap();
    assert_eq!(device_grant_domain::keys::last_use(records, 1).await.unwrap(), None);
    app.advance(100);
    let tokens = refresh_one(&app, token).await;
    app.services[0].tend_keys("one").await.unwrap();
    let used = app.services[0].clock.now();
    assert_eq!(device_grant_domain::keys::last_use(records, 1).await.unwrap(), Some(used));
    app.advance(100);
    refresh_one(&app, tokens).await;
    app.services[0].tend_keys("one").await.unwrap();
    let last = device_grant_domain::keys::last_use(records, 1).await.unwrap();
    assert_eq!(last, Some(used), "the token was sealed anew");
    let holdings = device_grant_domain::keys::holdings(records, app.services[0].clock.now()).await.unwrap();
    assert_eq!(holdings["one"].keys.len(), 4);
    app.advance(61);
    let holdings = device_grant_domain::keys::holdings(records, app.services[0].clock.now()).await.unwrap();
    assert!(holdings.is_empty(), "a replica that is silent for a minute is gone");
    assert!(!records.records(device_grant_domain::records::RecordKind::Key).await.unwrap().is_empty());
}

async fn refresh_one(app: &TestApp, token: String) -> String {
    let form = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", token.as_str())];
    let answer = app.post("/token", &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    // RT-03: where nothing has changed the old one stays good.
    answer.json()["refresh_token"].as_str().map_or(token, str::to_owned)
}
