//! What an operator asks of one client's logins beyond the usual.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use device_grant_dev_pool::Endpoint;
use device_grant_domain::client::DeviceClient;
use device_grant_domain::policy::{Policies, Prompt, Proximity};
use serde_json::{Value, json};

use super::app::*;
use super::browser::{Browser, field, form_of, outcome, text};

/// In another network than everybody else.
const ELSEWHERE: &str = "203.0.113.9";
const OVER_IPV6: &str = "2001:db8::9";

/// A service whose clients have these policies.
pub(super) fn with_policies(change: impl Fn(&mut Policies) + 'static) -> Options {
    let clients = move |clients: &mut Vec<DeviceClient>| {
        for client in clients {
            change(&mut client.policies);
        }
    };
    Options { clients: Box::new(clients), ..Options::default() }
}

async fn app_with(change: impl Fn(&mut Policies) + 'static) -> TestApp {
    TestApp::with(with_policies(change)).await
}

fn alice_at<'a>(app: &'a TestApp, address: &str) -> Browser<'a> {
    let mut alice = Browser::alice(app);
    alice.address = Some(address.parse().unwrap());
    alice
}

fn from(mut request: Request<Body>, address: &str) -> Request<Body> {
    request.extensions_mut().insert(SocketAddr::new(address.parse::<IpAddr>().unwrap(), 4711));
    request
}

/// The code page after the link, and then the confirmation.
async fn through_the_link(alice: &mut Browser<'_>, codes: &Codes) -> (Answer, Answer) {
    let entered = alice.land(&format!("/device?user_code={}", codes.user_code)).await;
    let confirmation = alice.decide(&entered, "#continue").await;
    (entered, confirmation)
}

/// The end of the code, as its device shows it.
fn end(codes: &Codes, count: usize) -> String {
    codes.user_code[codes.user_code.len() - count..].to_owned()
}

async fn is_pending(app: &TestApp, codes: &Codes) -> bool {
    app.advance(6);
    app.poll(TV, codes).await.json()["error"] == "authorization_pending"
}

/// SEC-14: a television on cable and a telephone on mobile data go through, as long as no policy says otherwise.
#[tokio::test]
async fn another_network_is_fine_by_default() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = alice_at(&app, ELSEWHERE);
    let page = alice.enter(&codes.user_code).await;
    assert!(text(&page, "#far").is_none() && text(&page, "#own_device").is_none());
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
}

/// SEC-14: with `warn` the page says that the device is elsewhere, and only then.
#[tokio::test]
async fn a_warning_is_shown_where_it_is_due() {
    let app = app_with(|policies| policies.proximity = Proximity::Warn).await;
    let codes = app.start(TV).await;
    for (address, expected) in [("192.0.2.1", false), (ELSEWHERE, true), (OVER_IPV6, false)] {
        let mut alice = alice_at(&app, address);
        let page = alice.enter(&codes.user_code).await;
        assert_eq!(text(&page, "#far").is_some(), expected, "{address}");
    }
    assert_eq!(outcome(&alice_at(&app, ELSEWHERE).approve(&codes).await), "approved");
}

/// SEC-14: with `refuse` nothing can be authorized from elsewhere, whatever is sent; Deny stays.
#[tokio::test]
async fn a_device_elsewhere_is_refused_if_so_configured() {
    let app = app_with(|policies| policies.proximity = Proximity::Refuse).await;
    let codes = app.start(TV).await;
    let mut alice = alice_at(&app, ELSEWHERE);
    let page = alice.enter(&codes.user_code).await;
    assert!(text(&page, "#far").unwrap().contains("another network"));
    assert!(text(&page, "#authorize").is_none());
    let mut form = form_of(&page, "#deny");
    form.iter_mut().find(|(name, _)| name == "intent").unwrap().1 = "authorize".to_owned();
    let pairs: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let refused = alice.post("/device", &pairs).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(text(&refused, "#notice").unwrap().contains("same network"));
    assert!(is_pending(&app, &codes).await);
    assert_eq!(app.dev_pool().requests().count(Endpoint::Authorize), 1, "the sign-in and nothing else");
    alice.decide(&page, "#deny").await;
    app.advance(6);
    assert_eq!(app.poll(TV, &codes).await.error(), "access_denied");

    let near = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&near).await), "approved");
}

/// SEC-14: with `require_more` a person elsewhere, or perhaps elsewhere, has to type and to tick; one nearby has not.
#[tokio::test]
async fn more_is_required_from_elsewhere() {
    let app = app_with(|policies| policies.proximity = Proximity::RequireMore).await;
    for address in [ELSEWHERE, OVER_IPV6] {
        let codes = app.start(TV).await;
        let mut alice = alice_at(&app, address);
        let page = alice.enter(&codes.user_code).await;
        assert!(text(&page, ".code").unwrap().ends_with("•••"));
        let right = end(&codes, 3);
        for added in [&[("own_device", "yes")][..], &[("typed", right.as_str())], &[]] {
            let again = alice.decide_with(&page, "#authorize", added).await;
            assert!(text(&again, "#notice").unwrap().starts_with("Nothing is connected yet"), "{added:?}");
        }
        let both = [("own_device", "yes"), ("typed", right.as_str())];
        assert_eq!(alice.decide_with(&page, "#authorize", &both).await.status, StatusCode::SEE_OTHER);
    }
    let near = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&near).await), "approved");
}

/// SEC-14: the tick is demanded by the server, not by the page alone.
#[tokio::test]
async fn the_tick_is_demanded() {
    let app = app_with(|policies| policies.own_device_check = true).await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    for added in [&[][..], &[("own_device", "no")]] {
        let again = alice.decide_with(&page, "#authorize", added).await;
        assert_eq!(again.status, StatusCode::OK);
        assert!(text(&again, "#notice").unwrap().contains("in front of you"));
    }
    assert!(is_pending(&app, &codes).await);
    let ticked = alice.decide_with(&page, "#authorize", &[("own_device", "yes")]).await;
    assert_eq!(ticked.status, StatusCode::SEE_OTHER);
}

/// SEC-14, UI-02: after a link the end of the code stands on no page and in no cookie; it has to come from the device.
#[tokio::test]
async fn after_a_link_the_end_of_the_code_is_typed() {
    let app = app_with(|policies| policies.typed_after_link = 3).await;
    let codes = app.start(TV).await;
    let (shown, right) = (&codes.user_code[..6], end(&codes, 3));
    let mut alice = Browser::alice(&app);
    let (entered, page) = through_the_link(&mut alice, &codes).await;
    for (answer, code) in [(&entered, ".code"), (&page, ".code")] {
        assert_eq!(text(answer, code).unwrap(), format!("{shown}•••"));
        assert!(!answer.text.contains(&codes.user_code), "{}", answer.text);
        assert!(!answer.text.contains(&codes.user_code.replace('-', "")));
    }
    assert!(alice.cookies.iter().all(|(_, value)| !value.contains(&codes.user_code)));

    let wrong = alice.decide_with(&page, "#authorize", &[("typed", "000")]).await;
    assert!(text(&wrong, "#notice").unwrap().contains("not the characters"));
    assert_eq!(text(&wrong, ".code").unwrap(), format!("{shown}•••"), "a wrong guess shows nothing");
    for nothing in [&[][..], &[("typed", "")], &[("typed", "•••")]] {
        let again = alice.decide_with(&page, "#authorize", nothing).await;
        assert!(text(&again, "#notice").is_some(), "{nothing:?}");
    }
    assert!(is_pending(&app, &codes).await);
    let typed = right.to_ascii_lowercase();
    assert_eq!(
        alice.decide_with(&wrong, "#authorize", &[("typed", &typed)]).await.status,
        StatusCode::SEE_OTHER
    );
}

/// SEC-14: reloading the code page is no way around; a code typed by hand is not asked for twice.
#[tokio::test]
async fn only_a_code_that_was_typed_counts_as_typed() {
    let app = app_with(|policies| policies.typed_after_link = 2).await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    through_the_link(&mut alice, &codes).await;
    let again = alice.get("/device").await;
    assert!(text(&again, ".code").unwrap().ends_with("••"));
    let page = alice.decide(&again, "#continue").await;
    assert!(text(&page, "label[for=typed]").is_some());
    assert_eq!(alice.decide(&again, "#another").await.status, StatusCode::SEE_OTHER);
    let page = alice.enter(&codes.user_code).await;
    assert!(text(&page, "label[for=typed]").is_none());
    assert_eq!(text(&page, ".code").unwrap(), codes.user_code);
}

/// SEC-14: nor is a link that lacks a character or two, which came beside it.
#[tokio::test]
async fn a_link_that_is_nearly_whole_is_a_link() {
    let app = app_with(|policies| policies.typed_after_link = 2).await;
    for missing in 1..=2 {
        let codes = app.start(TV).await;
        let mut alice = Browser::alice(&app);
        let part = &codes.user_code[..codes.user_code.len() - missing];
        let landed = alice.land(&format!("/device?{}", encode(&[("user_code", part)]))).await;
        let csrf = field(&landed, "#continue", "csrf");
        let form = [("intent", "lookup"), ("csrf", &csrf), ("user_code", &codes.user_code)];
        let page = alice.post("/device", &form).await;
        assert!(text(&page, "label[for=typed]").is_some(), "{missing} missing");
        let sent = alice.decide(&page, "#authorize").await;
        assert_eq!(sent.status, StatusCode::OK, "{missing} missing");
    }
}

/// UC-06, SEC-14: wrong characters count as guesses, and beyond the limit not even the right ones are looked at.
#[tokio::test]
async fn wrong_characters_are_guesses() {
    let options = Options {
        settings: Box::new(|settings| settings.guess_limits.per_account = 3),
        ..with_policies(|policies| policies.typed_after_link = 2)
    };
    let app = TestApp::with(options).await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let (_, page) = through_the_link(&mut alice, &codes).await;
    for _ in 0..3 {
        let wrong = alice.decide_with(&page, "#authorize", &[("typed", "00")]).await;
        assert_eq!(wrong.status, StatusCode::OK);
    }
    let right = end(&codes, 2);
    let late = alice.decide_with(&page, "#authorize", &[("typed", &right)]).await;
    assert_eq!(late.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(is_pending(&app, &codes).await);
    alice.decide(&page, "#deny").await;
    app.advance(6);
    assert_eq!(app.poll(TV, &codes).await.error(), "access_denied", "Deny is always possible");
}

/// UI-06, SEC-14: the new fields stand outside the forms of the buttons, and Enter in them presses a button that is dead.
#[tokio::test]
async fn enter_in_a_field_authorizes_nothing() {
    let app = app_with(|policies| policies.proximity = Proximity::RequireMore).await;
    let codes = app.start(TV).await;
    let page = alice_at(&app, ELSEWHERE).enter(&codes.user_code).await;
    let document = scraper::Html::parse_document(&page.text);
    let first = scraper::Selector::parse("#authorize-form [type=submit]").unwrap();
    let default = document.select(&first).next().unwrap();
    assert!(default.attr("disabled").is_some(), "the default button of the form does nothing");
    let fields = scraper::Selector::parse("[form=authorize-form]").unwrap();
    assert_eq!(document.select(&fields).count(), 2);
}

/// SEC-14: what the client asks of the sign-in goes to the pool on the grant's trip, and only there.
#[tokio::test]
async fn a_step_up_goes_to_the_pool() {
    let app = app_with(|policies| {
        policies.step_up.prompt = Some(Prompt::Login);
        policies.step_up.max_age = Some(Duration::from_mins(5));
        policies.step_up.acr_values = vec!["mfa".to_owned(), "gold".to_owned()];
    })
    .await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let pairs: Vec<_> = away.query_pairs().into_owned().collect();
    for (name, value) in [("prompt", "login"), ("max_age", "300"), ("acr_values", "mfa gold")] {
        let sent: Vec<_> = pairs.iter().filter(|pair| pair.0 == name).map(|pair| pair.1.as_str()).collect();
        assert_eq!(sent, [value], "{name}");
    }
    let sign_in = &app.dev_pool().requests().to(Endpoint::Authorize)[0];
    assert!(sign_in.query_value("prompt").is_none() && sign_in.query_value("acr_values").is_none());
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
}

/// SEC-14, CB-11, CB-15: a sign-in that is too weak, too old, or of which the pool says nothing hands over nothing: the
/// tokens are revoked, the request is open, the page says why, and a second try works.
#[tokio::test]
async fn a_sign_in_that_is_too_weak_brings_nothing() {
    let now = app_with(|_| ()).await.clock_s();
    for claims in [
        [("acr", json!("password")), ("auth_time", json!(now))],
        [("acr", Value::Null), ("auth_time", json!(now))],
        [("acr", json!("mfa")), ("auth_time", Value::Null)],
        [("acr", json!("mfa")), ("auth_time", json!(now - 3600))],
    ] {
        let app = app_with(|policies| {
            policies.step_up.prompt = Some(Prompt::Login);
            policies.step_up.acr_values = vec!["mfa".to_owned()];
        })
        .await;
        let codes = app.start(TV).await;
        let mut alice = Browser::alice(&app);
        let away = alice.authorize(&codes).await;
        app.dev_pool().faults().set(|pool| pool.id_token_claims = claims.clone().into());
        let back = alice.person.visit(&away).await.unwrap();
        let page = alice.land(&super::browser::local(&back)).await;
        assert_eq!(outcome(&page), "too_weak", "{claims:?}");
        let revoked = app.dev_pool().requests().to(Endpoint::Revoke);
        assert_eq!(revoked.len(), 1, "{claims:?}");
        assert!(!app.dev_pool().is_live(revoked[0].form_value("token").unwrap()));
        assert!(is_pending(&app, &codes).await);
        app.dev_pool().faults().clear();
        assert_eq!(outcome(&alice.approve(&codes).await), "approved");
    }
}

/// SEC-15: a client that may start from some networks only hears so in plain words elsewhere.
#[tokio::test]
async fn a_start_from_a_foreign_network_is_refused() {
    let allowed = || vec!["192.0.2.0/24".parse().unwrap()];
    let app = app_with(move |policies| policies.start_networks = allowed()).await;
    app.start(TV).await;
    let start = |address| from(post("/device_authorization", &[("client_id", TV)]), address);
    for address in [ELSEWHERE, OVER_IPV6] {
        let refused = app.send(start(address)).await;
        assert_eq!(refused.error(), "unauthorized_client");
        let words = refused.json()["error_description"].as_str().unwrap().to_owned();
        assert!(words.contains("may not start from this network"), "{words}");
    }
    let mut forged = start(ELSEWHERE);
    forged.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    assert_eq!(app.send(forged).await.error(), "unauthorized_client", "a forged header is no network");
}

/// SEC-15, RT-06: the scope's ceiling holds at the refresh too, before the pool is asked.
#[tokio::test]
async fn a_refresh_cannot_ask_for_more_than_the_ceiling() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    let token = app.poll(TV, &codes).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let asked = |scope| {
        let form =
            [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", &token), ("scope", scope)];
        post("/token", &form)
    };
    app.dev_pool().requests().clear();
    assert_eq!(app.send(asked("openid admin")).await.error(), "invalid_scope");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), 0);
    assert_eq!(app.send(asked("openid")).await.status, StatusCode::OK);
}

/// SEC-15: the token set's ceiling holds at the hand-over and at every refresh, whatever the pool sends.
#[tokio::test]
async fn the_token_set_holds_at_every_refresh() {
    let app = TestApp::with(Options {
        clients: Box::new(|clients| clients.iter_mut().for_each(|client| client.token_set.id = false)),
        ..Options::default()
    })
    .await;
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    let first = app.poll(TV, &codes).await.json();
    assert!(first.get("id_token").is_none());
    let token = first["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", token)];
    let refreshed = app.post("/token", &form).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    assert!(refreshed.json().get("id_token").is_none());
}

/// SEC-15: a code that many people open is flagged on the page; one person who looks again and again is one.
#[tokio::test]
async fn a_code_that_goes_around_is_flagged() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut first = Browser::alice(&app);
    for _ in 0..5 {
        let page = first.enter(&codes.user_code).await;
        assert!(text(&page, "#many").is_none());
    }
    for _ in 0..2 {
        assert!(text(&Browser::of(&app, "bob").enter(&codes.user_code).await, "#many").is_none());
    }
    let mut fourth = Browser::of(&app, "bob");
    for _ in 0..2 {
        let page = fourth.enter(&codes.user_code).await;
        assert!(text(&page, "#many").unwrap().contains("Several people"));
    }
    assert_eq!(outcome(&fourth.approve(&codes).await), "approved", "it is a caution, no refusal");
}
