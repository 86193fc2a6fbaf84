use axum::http::{StatusCode, header};
use device_grant_testkit::{Call, StoreFault};

use super::app::*;
use super::browser::{Browser, outcome, text};

/// DA-01, DA-02, DA-03, DA-05: the answer's members, their types and the headers.
#[tokio::test]
async fn a_start_answers_with_a_pair_of_codes() {
    let app = TestApp::new().await;
    let answer = app.post("/device_authorization", &[("client_id", TV), ("scope", "openid profile")]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(answer.header(header::PRAGMA), "no-cache");
    let body = answer.json();
    assert_eq!(body["device_code"].as_str().unwrap().len(), 64);
    assert_eq!(body["user_code"].as_str().unwrap().len(), 9);
    assert_eq!(body["verification_uri"], format!("{PUBLIC_URL}/device"));
    assert_eq!((body["expires_in"].as_u64(), body["interval"].as_u64()), (Some(1800), Some(5)));
}

/// DA-03: no header moves the verification URI.
#[tokio::test]
async fn the_verification_uri_comes_from_the_configuration() {
    let app = TestApp::new().await;
    let mut request = post("/device_authorization", &[("client_id", TV)]);
    for name in ["host", "x-forwarded-host", "forwarded"] {
        request.headers_mut().insert(name, "evil.example".parse().unwrap());
    }
    let answer = app.send(request).await;
    assert!(!answer.text.contains("evil"), "{}", answer.text);
}

/// DA-04: the complete URI opens a page that shows this very code.
#[tokio::test]
async fn the_complete_uri_shows_the_user_code() {
    let app = TestApp::new().await;
    let answer = app.post("/device_authorization", &[("client_id", TV)]).await;
    let (uri, user_code) = (answer.json()["verification_uri_complete"].clone(), codes(&answer).user_code);
    assert_eq!(uri, format!("{PUBLIC_URL}/device?user_code={user_code}"));
    let page = Browser::alice(&app).land(&uri.as_str().unwrap()[PUBLIC_URL.len()..]).await;
    assert_eq!(super::browser::field(&page, "#continue", "user_code"), user_code);
    assert_eq!(text(&page, "#heading").unwrap(), "Check the code");
}

type Case = (Option<(&'static str, &'static str)>, u16, &'static str);

/// DA-05, DA-06, DA-07: who does not prove itself gets no codes, and hears why.
#[tokio::test]
async fn clients_must_prove_themselves() {
    let app = TestApp::new().await;
    let cases: [Case; 5] = [
        (None, 400, "invalid_request"),
        (Some(("client_id", "")), 400, "invalid_request"),
        (Some(("client_id", "nobody")), 401, "invalid_client"),
        (Some(("client_id", CONSOLE)), 401, "invalid_client"),
        (Some(("client_id", BARRED)), 400, "unauthorized_client"),
    ];
    for (form, status, error) in cases {
        let answer = app.post("/device_authorization", form.as_slice()).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (status, error), "{form:?}");
        assert!(!answer.text.contains("device_code"));
    }
    app.start_confidential(CONSOLE).await;
}

/// DA-08: empty is absent, unknown is ignored, repeated is refused.
#[tokio::test]
async fn parameters_are_read_strictly() {
    let app = TestApp::new().await;
    app.start_with(&[("client_id", TV), ("scope", ""), ("foo", "bar")]).await;
    let twice = app
        .post("/device_authorization", &[("client_id", TV), ("scope", "openid"), ("scope", "email")])
        .await;
    assert_eq!(twice.error(), "invalid_request");
}

/// DA-09: the default, more than allowed, and malformed.
#[tokio::test]
async fn scopes_are_checked() {
    let app = TestApp::new().await;
    for scope in ["admin", "openid admin", "a\"b", "a\\b", "openid&prompt=none#x"] {
        let answer = app.post("/device_authorization", &[("client_id", TV), ("scope", scope)]).await;
        assert_eq!(answer.error(), "invalid_scope", "{scope}");
    }
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    assert_eq!(app.poll(TV, &codes).await.json()["scope"], "openid");
}

/// DA-10: the device code is in no page, redirect, cookie or call to the pool.
#[tokio::test]
async fn the_device_code_stays_between_the_device_and_us() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut browser = Browser::alice(&app);
    let page = browser.enter(&codes.user_code).await;
    let away = browser.press(&page, "#authorize").await;
    let back = browser.person.visit(&away).await.unwrap();
    let done = browser.land(&super::browser::local(&back)).await;
    assert_eq!(outcome(&done), "approved");
    let mut seen = vec![page.text, away.to_string(), back.to_string(), done.text];
    seen.extend(browser.cookies.iter().map(|(_, value)| value.clone()));
    for logged in app.dev_pool().requests().all() {
        seen.push(format!("{} {:?} {:?}", logged.path, logged.query, logged.form));
    }
    assert!(seen.iter().all(|text| !text.contains(&codes.device_code)));
}

/// DA-11: in a tiny code space no code is shared, and when it is full the answer is 503.
#[tokio::test]
async fn a_full_code_space_is_no_reason_to_share() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| {
            settings.user_code = device_grant_domain::codes::CodeFormat::user_code("#", 1, true).unwrap();
        }),
        ..Options::default()
    })
    .await;
    let mut seen = std::collections::BTreeSet::new();
    let full = loop {
        let answer = app.post("/device_authorization", &[("client_id", TV)]).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        assert!(seen.insert(codes(&answer).user_code), "a code was issued twice");
    };
    assert!(seen.len() >= 5, "{seen:?}");
    assert_eq!((full.status.as_u16(), full.error().as_str()), (503, "temporarily_unavailable"));
    assert!(full.headers.contains_key(header::RETRY_AFTER));
}

/// DA-11: nor is a code issued again soon after its request ended.
#[tokio::test]
async fn a_user_code_rests_before_it_comes_again() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| {
            settings.user_code = device_grant_domain::codes::CodeFormat::user_code("#", 1, true).unwrap();
        }),
        ..Options::default()
    })
    .await;
    let mut issued = 0;
    while issued < 10 {
        // A draw may miss the last free codes; what counts is that all ten are out.
        issued += usize::from(
            app.post("/device_authorization", &[("client_id", TV)]).await.status == StatusCode::OK,
        );
    }
    app.advance(1800 + 599);
    let resting = app.post("/device_authorization", &[("client_id", TV)]).await;
    assert_eq!(resting.error(), "temporarily_unavailable");
    app.advance(2);
    app.start(TV).await;
}

/// DA-12: both codes die together.
#[tokio::test]
async fn both_codes_end_at_once() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut browser = Browser::alice(&app);
    browser.sign_in().await;
    app.advance(1799);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    app.advance(1);
    assert_eq!(app.poll(TV, &codes).await.error(), "expired_token");
    let page = browser.enter(&codes.user_code).await;
    assert!(text(&page, "#notice").is_some() && text(&page, "#authorize").is_none(), "{}", page.text);
}

/// DA-13: a flood from one network is refused with 429; another network goes on.
#[tokio::test]
async fn a_flood_hurts_its_own_network_only() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| settings.start_limits.per_client_and_network = 3),
        ..Options::default()
    })
    .await;
    for _ in 0..3 {
        app.start(TV).await;
    }
    let refused = app.post("/device_authorization", &[("client_id", TV)]).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    refused.error();
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    let mut elsewhere = post("/device_authorization", &[("client_id", TV)]);
    elsewhere.extensions_mut().insert(std::net::SocketAddr::from(([198, 51, 100, 7], 1)));
    assert_eq!(app.send(elsewhere).await.status, StatusCode::OK);
}

/// DA-14: the pool may be away; the store may not, and then no code leaves that works later.
#[tokio::test]
async fn starting_needs_the_store_and_not_the_pool() {
    let app = TestApp::new().await;
    app.pool.refuse_connections().await;
    app.start(TV).await;
    app.store.fail(Call::Create, StoreFault::Before, 1);
    let answer = app.post("/device_authorization", &[("client_id", TV)]).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert!(!answer.text.contains("code\""), "{}", answer.text);
}
