//! The other ways to sign in: only on approval, and at a load balancer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use device_grant_dev_pool::Endpoint;
use device_grant_testkit::{Call, FixedClock, SeededEntropy, TestBalancer};
use device_grant_upstream::{Alb, AlbConfig};
use device_grant_web::SignIn;
use serde_json::json;

use super::app::*;
use super::browser::{Browser, away, field, form_of, local, outcome, text};
use super::policies::with_policies;

async fn on_approval() -> TestApp {
    TestApp::with(Options { web: Box::new(|web| web.sign_in = SignIn::OnApproval), ..Options::default() })
        .await
}

/// UI-01, CB-11: the code first, then one trip that signs in and grants; nobody's account is shown before, and the last page
/// says who it was.
#[tokio::test]
async fn on_approval_one_trip_does_it_all() {
    let app = on_approval().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    assert_eq!(app.dev_pool().requests().count(Endpoint::Authorize), 0);
    assert!(text(&page, ".who-name").is_none() && text(&page, "#sign-out").is_none());
    assert!(!text(&page, ".facts").unwrap().contains("Account"));
    let away = alice.press(&page, "#authorize").await;
    let back = alice.person.visit(&away).await.unwrap();
    let last = alice.land(&local(&back)).await;
    assert_eq!(outcome(&last), "approved");
    assert!(text(&last, ".facts").unwrap().contains("Alice Example"));
    let reloaded = alice.land(&local(&back)).await;
    assert!(text(&reloaded, ".facts").unwrap().contains("Alice Example"), "a reload tells the same");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), 1);
    assert_eq!(app.dev_pool().requests().count(Endpoint::Authorize), 1);
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// UC-08, UC-09: without an account too, codes that are over look like codes that never were.
#[tokio::test]
async fn on_approval_dead_codes_look_alike() {
    let app = on_approval().await;
    let mut alice = Browser::alice(&app);
    let (used, denied) = (app.start(TV).await, app.start(TV).await);
    alice.approve(&used).await;
    alice.deny(&denied).await;
    let expired = app.start(TV).await;
    app.advance(1800);
    let mut pages = Vec::new();
    for code in [used.user_code.as_str(), &denied.user_code, &expired.user_code, "0000-0000", "no code"] {
        let mut stranger = Browser::alice(&app);
        let page = stranger.enter(code).await;
        assert_eq!(page.status, StatusCode::OK);
        let csrf = field(&page, "#continue", "csrf");
        pages.push(page.text.replace(&csrf, "").replace(code, ""));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
}

/// UC-06, UC-07: strangers are held back by their network: a new browser session changes nothing, nor does another /64 of
/// one /48; a stranger elsewhere still enters the good code.
#[tokio::test]
async fn on_approval_strangers_guess_within_their_network() {
    let app = TestApp::with(Options {
        web: Box::new(|web| web.sign_in = SignIn::OnApproval),
        settings: Box::new(|settings| settings.guess_limits.strangers_per_network = 4),
        ..Options::default()
    })
    .await;
    let codes = app.start(TV).await;
    let at = |address: &str| {
        let mut browser = Browser::alice(&app);
        browser.address = Some(address.parse().unwrap());
        browser
    };
    for subnet in 0..4 {
        let miss = at(&format!("2001:db8:1:{subnet}::1")).enter("0000-0000").await;
        assert_eq!(miss.status, StatusCode::OK);
    }
    let before = app.store.count(Call::Reserve);
    let full = at("2001:db8:1:ffff::1").enter(&codes.user_code).await;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(app.store.count(Call::Reserve), before + 1, "and the session leaves no counter behind");
    assert!(text(&at("2001:db8:2::1").enter(&codes.user_code).await, "#authorize").is_some());
}

/// UC-06: one browser session has few guesses too.
#[tokio::test]
async fn on_approval_a_browser_has_few_guesses() {
    let app = TestApp::with(Options {
        web: Box::new(|web| web.sign_in = SignIn::OnApproval),
        settings: Box::new(|settings| settings.guess_limits.per_browser = 2),
        ..Options::default()
    })
    .await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    for _ in 0..2 {
        alice.enter("0000-0000").await;
    }
    assert_eq!(alice.enter(&codes.user_code).await.status, StatusCode::TOO_MANY_REQUESTS);
}

/// UI-07, CB-02: without an account too, forms and callbacks belong to one browser.
#[tokio::test]
async fn on_approval_forms_and_callbacks_belong_to_their_browser() {
    let app = on_approval().await;
    let codes = app.start(TV).await;
    let (mut alice, mut mallory) = (Browser::alice(&app), Browser::of(&app, "bob"));
    let hers = alice.enter(&codes.user_code).await;
    mallory.enter(&codes.user_code).await;
    for button in ["#authorize", "#deny"] {
        assert_eq!(mallory.decide(&hers, button).await.status, StatusCode::FORBIDDEN);
    }
    let away = alice.press(&hers, "#authorize").await;
    let back = mallory.person.visit(&away).await.unwrap();
    assert_eq!(mallory.get(&local(&back)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// A service behind a balancer that signs people in.
struct Behind {
    app: TestApp,
    balancer: TestBalancer,
    clock: Arc<FixedClock>,
}

impl Behind {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let balancer = TestBalancer::spawn().await.unwrap();
        let clock = Arc::new(FixedClock::default());
        let config = AlbConfig {
            signer: balancer.signer.clone(),
            client_id: TestBalancer::CLIENT.to_owned(),
            issuer: "https://pool.example".to_owned(),
            key_url: balancer.key_url.parse().unwrap(),
            account_claim: "sub".to_owned(),
            leeway: Duration::from_mins(1),
        };
        let alb = Alb::new(config, clock.clone(), Arc::new(SeededEntropy::new(3))).unwrap();
        let sign_in = SignIn::Balancer(Arc::new(alb));
        let web = move |web: &mut device_grant_web::WebConfig| {
            web.sign_in = sign_in.clone();
        };
        Self { app: TestApp::with(Options { web: Box::new(web), ..options }).await, balancer, clock }
    }

    /// What the balancer adds to a request of Alice's or Bob's.
    fn headers(&self, username: &str) -> [(&'static str, String); 2] {
        let now = device_grant_domain::Clock::now(&*self.clock).as_secs();
        let header = self.balancer.header("https://pool.example", now);
        let sub = format!("dev-{username}");
        let data = self
            .balancer
            .sign(&header, &json!({ "sub": sub, "name": format!("{username} of the balancer") }));
        [("x-amzn-oidc-data", data), ("x-amzn-oidc-identity", sub)]
    }

    fn browser(&self, username: &str) -> Browser<'_> {
        let mut browser = Browser::of(&self.app, username);
        browser.added = self.headers(username).to_vec();
        browser
    }
}

/// UI-01, UI-04: whom the balancer names is who approves; the pool is visited once, for the tokens.
#[tokio::test]
async fn a_balancer_signs_people_in() {
    let behind = Behind::new().await;
    let codes = behind.app.start(TV).await;
    let mut alice = behind.browser("alice");
    let page = alice.enter(&codes.user_code).await;
    assert_eq!(text(&page, ".who-name").unwrap(), "alice of the balancer");
    assert_eq!(behind.app.dev_pool().requests().count(Endpoint::Authorize), 0);
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
    assert_eq!(behind.balancer.looks(), 1, "the key is fetched once");
}

/// CB-11: the balancer says Alice, the pool says Bob: nothing is handed over, and the balancer's session ends too.
#[tokio::test]
async fn the_pool_must_name_the_person_of_the_balancer() {
    let behind = Behind::new().await;
    let codes = behind.app.start(TV).await;
    let mut bob = Browser::of(&behind.app, "bob");
    bob.added = behind.headers("alice").to_vec();
    let away = bob.authorize(&codes).await;
    let back = bob.person.visit(&away).await.unwrap();
    let callback = bob.get(&local(&back)).await;
    assert!(callback.headers.get_all(header::SET_COOKIE).iter().any(ends_balancer_session));
    assert_eq!(outcome(&bob.get("/device/done").await), "account_differs");
    assert_eq!(behind.app.poll(TV, &codes).await.error(), "authorization_pending");
}

fn ends_balancer_session(value: &HeaderValue) -> bool {
    let value = value.to_str().unwrap();
    value.starts_with("AWSELBAuthSessionCookie-0=;") && value.contains("Max-Age=0")
}

/// SEC-11: the headers count from a trusted proxy only, once only, and only as the balancer signed them.
#[tokio::test]
async fn nobody_can_write_the_balancers_headers() {
    let behind = Behind::new().await;
    let honest = behind.headers("alice");
    let stranger = TestBalancer::spawn().await.unwrap();
    let forged = stranger
        .sign(&behind.balancer.header("https://pool.example", 1 << 40), &json!({ "sub": "dev-alice" }));
    let mut answers = Vec::new();
    for added in [
        vec![],
        vec![("x-amzn-oidc-data", forged)],
        vec![("x-amzn-oidc-identity", "dev-alice".to_owned())],
        vec![honest[0].clone(), ("x-amzn-oidc-identity", "dev-bob".to_owned())],
        vec![honest[0].clone(), honest[0].clone()],
    ] {
        let mut browser = Browser::alice(&behind.app);
        browser.added = added;
        answers.push(browser.get("/device").await);
    }
    for answer in answers {
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert!(text(&answer, "#continue").is_none());
    }
    // Past the balancer good headers are of no use either: without TLS at all, and where none is needed.
    let direct = async |behind: &Behind| {
        let mut asked = Request::get("/device").body(Body::empty()).unwrap();
        for (name, value) in &behind.headers("alice") {
            asked.headers_mut().insert(*name, value.parse().unwrap());
        }
        behind.app.send_from(0, "203.0.113.9:4711", asked).await.status
    };
    assert_eq!(direct(&behind).await, StatusCode::PERMANENT_REDIRECT);
    let local = Behind::with(Options {
        settings: Box::new(|settings| settings.public_url = "http://127.0.0.1:8080".parse().unwrap()),
        ..Options::default()
    })
    .await;
    assert_eq!(direct(&local).await, StatusCode::FORBIDDEN);
}

/// The balancer's session ends between the page and the click: a friendly page, nothing lost, and the next try goes on with
/// the code that was typed.
#[tokio::test]
async fn nothing_is_lost_when_the_balancers_session_ends() {
    let behind = Behind::new().await;
    let codes = behind.app.start(TV).await;
    let mut alice = behind.browser("alice");
    let entered = alice.get("/device").await;
    let mut form = form_of(&entered, "#continue");
    form.iter_mut().find(|(name, _)| name == "user_code").unwrap().1.clone_from(&codes.user_code);
    let pairs: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let signed_in = std::mem::take(&mut alice.added);
    let ended = alice.post("/device", &pairs).await;
    assert_eq!(ended.status, StatusCode::FORBIDDEN);
    assert!(text(&ended, "main").unwrap().contains("Nothing was lost"));
    alice.added = signed_in;
    let again = alice.get("/device").await;
    assert_eq!(field(&again, "#continue", "user_code"), codes.user_code);
    let page = alice.decide(&again, "#continue").await;
    alice.added.clear();
    assert_eq!(alice.decide(&page, "#authorize").await.status, StatusCode::FORBIDDEN);
    assert_eq!(behind.app.poll(TV, &codes).await.error(), "authorization_pending");
    alice.added = behind.headers("alice").to_vec();
    assert_eq!(alice.decide(&page, "#authorize").await.status, StatusCode::SEE_OTHER);
}

/// SEC-06, UI-07: another person at the balancer is another session: forms of the one before do not count.
#[tokio::test]
async fn another_person_at_the_balancer_is_another_session() {
    let behind = Behind::new().await;
    let codes = behind.app.start(TV).await;
    let mut browser = behind.browser("alice");
    let hers = browser.enter(&codes.user_code).await;
    browser.added = behind.headers("bob").to_vec();
    for button in ["#authorize", "#deny"] {
        assert_eq!(browser.decide(&hers, button).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(text(&browser.get("/device").await, ".who-name").unwrap(), "bob of the balancer");
    assert_eq!(behind.app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// UI-04: "Not you?" ends the balancer's session and then the pool's.
#[tokio::test]
async fn not_you_ends_the_balancers_session_too() {
    let behind = Behind::new().await;
    let mut alice = behind.browser("alice");
    let page = alice.get("/device").await;
    let csrf = field(&page, "#sign-out", "csrf");
    let answer = alice.post("/device/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/device/go"));
    for number in 0..4 {
        let cookie = format!("AWSELBAuthSessionCookie-{number}=;");
        let ended = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.starts_with(&cookie));
        assert!(answer.headers.get_all(header::SET_COOKIE).iter().any(ended), "{cookie}");
    }
    let on = away(&alice.get("/device/go").await).unwrap();
    assert!(on.path().ends_with("/logout"), "{on}");
}

/// SEC-14: the device's network is compared with the person's, not with the balancer's.
#[tokio::test]
async fn behind_a_balancer_the_persons_own_network_counts() {
    use device_grant_domain::policy::Proximity;
    let behind = Behind::with(with_policies(|policies| policies.proximity = Proximity::Warn)).await;
    let mut start = post("/device_authorization", &[("client_id", TV)]);
    start.extensions_mut().insert(std::net::SocketAddr::from(([203, 0, 113, 9], 4711)));
    let codes = codes(&behind.app.send(start).await);
    for (address, far) in [("203.0.113.9", false), ("198.51.100.7", true)] {
        let mut alice = behind.browser("alice");
        alice.address = Some(address.parse().unwrap());
        let page = alice.enter(&codes.user_code).await;
        assert_eq!(text(&page, "#far").is_some(), far, "{address}");
    }
}

/// A stranger's GET never reaches the pool behind a balancer: signing in is the balancer's matter.
#[tokio::test]
async fn behind_a_balancer_nobody_is_sent_to_sign_in() {
    let behind = Behind::new().await;
    let answer = behind.app.send(Request::get("/device").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(behind.app.dev_pool().requests().count(Endpoint::Authorize), 0);
}
