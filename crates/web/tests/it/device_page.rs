use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use device_grant_dev_pool::Endpoint;

use super::app::*;
use super::browser::{Browser, away, field, form_of, local, outcome, text};

/// UI-01: whoever is not signed in is sent to sign in, and comes back with the code kept.
#[tokio::test]
async fn a_visitor_signs_in_first_and_the_code_is_kept() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut plain = Browser::alice(&app);
    let page = plain.sign_in().await;
    assert_eq!(field(&page, "#continue", "user_code"), "");
    let mut linked = Browser::alice(&app);
    let first = linked.get(&format!("/device?user_code={}", codes.user_code)).await;
    assert_eq!((first.status, first.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/device"));
    let page = linked.land("/device").await;
    assert_eq!(field(&page, "#continue", "user_code"), codes.user_code);
}

/// UI-01, UC-08: a visitor without a session learns nothing about any code: a good one and a bad one look alike.
#[tokio::test]
async fn a_stranger_learns_nothing_about_codes() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut answers = Vec::new();
    for code in [codes.user_code.as_str(), "WDJB-MJHT", "nonsense"] {
        let answer = Browser::alice(&app).post("/device", &[("intent", "lookup"), ("user_code", code)]).await;
        answers.push((answer.status, answer.header(header::LOCATION).to_owned(), answer.text));
    }
    assert_eq!(answers[0].0, StatusCode::SEE_OTHER);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

/// UI-02, UI-03: no GET or HEAD decides anything, whatever an old QR code says.
#[tokio::test]
async fn no_link_decides() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    for authorize in ["true", "false"] {
        let path = format!("/device?code={}&authorize={authorize}", codes.user_code);
        let page = alice.land(&path).await;
        assert_eq!(field(&page, "#continue", "user_code"), codes.user_code);
        alice.send(request(Method::HEAD, &path)).await;
    }
    for path in ["/device?intent=authorize", "/device?intent=deny", "/device/go", "/device/done"] {
        alice.get(path).await;
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// UI-04, UI-05, UI-12: what the person sees before deciding, each in its place and escaped.
#[tokio::test]
async fn the_confirmation_shows_what_is_at_stake() {
    let app = TestApp::new().await;
    let mut start = post("/device_authorization", &[("client_id", TV), ("scope", "openid email")]);
    start.headers_mut().insert(header::USER_AGENT, "<b>SmartTV</b>/7".parse().unwrap());
    let codes = codes(&app.send(start).await);
    app.advance(120);
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    assert_eq!(text(&page, "h1").unwrap(), "Connect Living Room <TV> & \"Co\"?");
    assert_eq!(text(&page, ".code").unwrap(), codes.user_code);
    assert_eq!(text(&page, ".who-name").unwrap(), "Alice Example");
    let scopes = text(&page, ".scopes").unwrap();
    assert!(scopes.contains("Know that it is you") && scopes.contains("See your email address"), "{scopes}");
    let facts = text(&page, ".facts").unwrap();
    let shown = ["2 minutes ago", "network 192.0.2.x", "Television"];
    assert!(shown.iter().all(|words| facts.contains(words)), "{facts}");
    assert!(!facts.contains("192.0.2.1"), "an address is shown coarsely");
    assert!(text(&page, "#caution").unwrap().contains("only if you started this yourself"));
    assert!(text(&page, "#sign-out").is_some());
    for raw in ["<TV>", "<b>SmartTV", "SmartTV"] {
        assert!(!page.text.contains(raw), "{raw} is not escaped");
    }
}

/// UI-04: no remembered consent: the second device is asked for again.
#[tokio::test]
async fn every_request_is_asked_for() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    for _ in 0..2 {
        let codes = app.start(TV).await;
        let page = alice.enter(&codes.user_code).await;
        assert!(text(&page, "#authorize").is_some());
        let away = alice.press(&page, "#authorize").await;
        let back = alice.person.visit(&away).await.unwrap();
        assert_eq!(outcome(&alice.land(&local(&back)).await), "approved");
    }
}

/// UI-06: Enter approves nothing: no text field beside the buttons, no focus on them, and Deny comes first.
#[tokio::test]
async fn enter_does_not_approve() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let page = Browser::alice(&app).enter(&codes.user_code).await;
    assert!(!page.text.contains("autofocus"));
    let document = scraper::Html::parse_document(&page.text);
    let select = |text: &str| document.select(&scraper::Selector::parse(text).unwrap()).count();
    assert_eq!(select(".choice input:not([type=hidden])"), 0);
    assert_eq!((select(".choice #authorize"), select(".choice #deny")), (1, 1));
    assert!(page.text.find("id=\"deny\"") < page.text.find("id=\"authorize\""));
}

/// UI-07: a token of another session, another browser or another request changes nothing.
#[tokio::test]
async fn forms_are_tied_to_their_session_and_request() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let (mut alice, mut bob) = (Browser::alice(&app), Browser::of(&app, "bob"));
    let (hers, his) = (alice.enter(&codes.user_code).await, bob.enter(&codes.user_code).await);
    for button in ["#authorize", "#deny"] {
        assert_eq!(alice.decide(&his, button).await.status, StatusCode::FORBIDDEN);
    }
    let mut mixed = form_of(&hers, "#deny");
    mixed.iter_mut().find(|(name, _)| name == "confirm").unwrap().1 = field(&his, "#deny", "confirm");
    let mixed: Vec<(&str, &str)> =
        mixed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(alice.post("/device", &mixed).await.status, StatusCode::FORBIDDEN);
    let page_cookie = alice.cookies.iter().position(|(name, _)| name.ends_with("dg-page")).unwrap();
    let kept = alice.cookies.remove(page_cookie);
    assert_eq!(alice.decide(&hers, "#deny").await.status, StatusCode::FORBIDDEN, "the page's cookie is gone");
    alice.cookies.retain(|(name, _)| *name != kept.0);
    alice.cookies.push(kept);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_eq!(alice.decide(&hers, "#deny").await.status, StatusCode::SEE_OTHER);
}

/// UI-08: another site's form is refused, our own passes, and one without Origin passes with its token.
#[tokio::test]
async fn other_sites_cannot_send_our_forms() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    let form = form_of(&page, "#deny");
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut forged = post("/device", &pairs);
    forged.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    forged.headers_mut().insert(header::ORIGIN, "https://evil.example".parse().unwrap());
    let refused = alice.send(forged).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.header(header::CONTENT_TYPE).starts_with("text/html"));
    let mut null = post("/device", &pairs);
    null.headers_mut().insert(header::ORIGIN, "null".parse().unwrap());
    null.headers_mut().insert(header::HOST, "login.example.com".parse().unwrap());
    assert_eq!(alice.send(null).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_eq!(alice.send(post("/device", &pairs)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(refused.header(header::REFERRER_POLICY), "same-origin");
}

/// UI-09, UC-09: what ended between the page and the click is not decided any more, and the person is told.
#[tokio::test]
async fn a_click_on_an_old_page_decides_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    for _ in 0..3 {
        app.advance(600);
        // Another tab keeps the session alive.
        alice.get("/device").await;
    }
    app.dev_pool().requests().clear();
    let authorized = alice.decide(&page, "#authorize").await;
    assert_eq!(outcome(&authorized), "expired");
    alice.decide(&page, "#deny").await;
    assert_eq!(outcome(&alice.get("/device/done").await), "expired");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Authorize), 0);
    assert_eq!(app.poll(TV, &codes).await.error(), "expired_token");
}

/// UI-10: Deny is recorded at once, without the pool; a second click shows the same.
#[tokio::test]
async fn deny_needs_no_pool() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    app.dev_pool().requests().clear();
    for _ in 0..2 {
        assert_eq!(alice.decide(&page, "#deny").await.status, StatusCode::SEE_OTHER);
        assert_eq!(outcome(&alice.get("/device/done").await), "denied");
    }
    assert!(app.dev_pool().requests().all().is_empty());
    assert_eq!(app.poll(TV, &codes).await.error(), "access_denied");
}

/// UI-11: after the POST a 303 to a page of ours, which sends the browser on by itself and by a link.
#[tokio::test]
async fn the_browser_is_sent_on_by_a_page_of_ours() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    let posted = alice.decide(&page, "#authorize").await;
    assert_eq!((posted.status, posted.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/device/go"));
    let go = alice.get("/device/go").await;
    assert_eq!(go.status, StatusCode::OK);
    assert!(away(&go).unwrap().as_str().starts_with(app.pool.issuer()));
    assert!(go.text.contains("http-equiv=\"refresh\""));
    assert!(go.header(header::CONTENT_SECURITY_POLICY).contains("form-action 'self'"));
}

/// UI-12: a code with markup comes back as text.
#[tokio::test]
async fn what_was_typed_is_shown_as_text() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    let markup = "\"><script>alert(1)</script>";
    let linked = alice.land(&format!("/device?{}", encode(&[("user_code", markup)]))).await;
    assert!(!linked.text.contains("<script"));
    assert_eq!(field(&linked, "#continue", "user_code"), markup);
    let typed = alice.enter(markup).await;
    assert!(!typed.text.contains("<script"));
    assert_eq!(typed.status, StatusCode::OK);
}

/// UC-04, UC-05: typing is forgiven, and what is no code gets the one answer for all.
#[tokio::test]
async fn forgiving_input_leads_to_the_request() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let bare = codes.user_code.replace('-', "");
    let spellings = [
        bare.to_lowercase(),
        codes.user_code.replace('-', " "),
        codes.user_code.replace('-', "–"),
        format!(" {} ", codes.user_code),
    ];
    let mut alice = Browser::alice(&app);
    for typed in &spellings {
        assert!(text(&alice.enter(typed).await, "#authorize").is_some(), "{typed:?}");
    }
    for typed in ["", "ß", "\u{212a}\u{17f}\u{0412}", &"W".repeat(4000), "%00"] {
        let page = alice.enter(typed).await;
        assert_eq!(page.status, StatusCode::OK, "{typed:?}");
        assert!(text(&page, "#notice").is_some(), "{typed:?}");
    }
}

/// UC-08, UC-09: used, denied, expired and unknown codes get the same page, and no trip to the pool.
#[tokio::test]
async fn codes_that_are_over_look_like_codes_that_never_were() {
    let app = TestApp::new().await;
    let (used, denied, expired) = (app.start(TV).await, app.start(TV).await, app.start(OTHER).await);
    let mut alice = Browser::alice(&app);
    alice.approve(&used).await;
    alice.deny(&denied).await;
    let mut pages = Vec::new();
    for code in [&used.user_code, &denied.user_code, "WDJB-MJHT"] {
        let page = alice.enter(code).await;
        pages.push((page.status, text(&page, "#notice").unwrap()));
    }
    app.advance(1800);
    let page = alice.enter(&expired.user_code).await;
    pages.push((page.status, text(&page, "#notice").unwrap()));
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
}

/// UC-06: beyond the limit not even the right code is looked up, for this account; another account goes on.
#[tokio::test]
async fn guesses_are_limited() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| settings.guess_limits.per_account = 3),
        ..Options::default()
    })
    .await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    for _ in 0..2 {
        assert!(text(&alice.enter(&codes.user_code).await, "#authorize").is_some(), "a hit is given back");
    }
    for _ in 0..3 {
        assert_eq!(alice.enter("WDJB-MJHT").await.status, StatusCode::OK);
    }
    assert_eq!(alice.enter(&codes.user_code).await.status, StatusCode::TOO_MANY_REQUESTS);
    app.advance(3600);
    alice.sign_in().await;
    let fresh = app.start(TV).await;
    assert!(text(&alice.enter(&fresh.user_code).await, "#authorize").is_some());
}

/// UI-04: "Not you?" ends our session and asks the pool to sign in anew.
#[tokio::test]
async fn another_person_can_take_over_the_browser() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut browser = Browser::alice(&app);
    let page = browser.enter(&codes.user_code).await;
    let csrf = field(&page, "#sign-out", "csrf");
    assert_eq!(browser.post("/device/sign-out", &[]).await.status, StatusCode::FORBIDDEN);
    let out = browser.post("/device/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(out.header(header::LOCATION), "/device/go");
    let end = away(&browser.get("/device/go").await).unwrap();
    assert!(end.path().ends_with("/logout"), "{end}");
    assert_eq!(browser.get("/device/done").await.status, StatusCode::SEE_OTHER);
    let trip = away(&browser.get("/device").await).unwrap();
    assert!(trip.query_pairs().any(|pair| pair == ("prompt".into(), "login".into())), "{trip}");
    browser.person = device_grant_dev_pool::Person::new(app.dev_pool(), "bob", "bob");
    let back = local(&browser.person.visit(&trip).await.unwrap());
    let page = browser.land(&back).await;
    assert_eq!(text(&page, ".who-name").unwrap(), "Bob Example");
}

/// Every malformed page request gets a friendly page: never a 500, never a stack trace.
#[tokio::test]
async fn malformed_page_requests_get_a_page() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    for path in
        ["/device?user_code=%FF", "/device?user_code=a&user_code=b", "/callback?state=%G1", "/nowhere"]
    {
        let answer = alice.get(path).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert!(text(&answer, "h1").is_some(), "{path}");
        assert!(answer.header(header::CONTENT_SECURITY_POLICY).contains("default-src 'none'"));
    }
    let body = Request::post("/device").body(Body::from(vec![0xff; 10])).unwrap();
    assert_eq!(alice.send(body).await.status, StatusCode::BAD_REQUEST);
}
