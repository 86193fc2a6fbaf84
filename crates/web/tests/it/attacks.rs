//! Pages under attack: frames, forged forms, planted cookies, redirects.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use device_grant_testkit::{Call, StoreFault};
use scraper::{Html, Selector};

use super::app::*;
use super::browser::{Browser, away, field, form_of, local, text};

const PATHS: [&str; 9] = [
    "/",
    "/device",
    "/device/go",
    "/device/done",
    "/device/sign-out",
    "/callback",
    "/token",
    "/revoke",
    "/.well-known/oauth-authorization-server",
];

/// One page of each kind, error pages among them, each with a name.
async fn every_page(app: &TestApp) -> Vec<(&'static str, Answer)> {
    let mut alice = Browser::alice(app);
    let (codes, denied) = (app.start(TV).await, app.start(TV).await);
    let mut pages = vec![
        ("welcome", alice.get("/").await),
        ("on the way", alice.get("/device").await),
        ("no such page", alice.get("/device/x").await),
        ("elsewhere", alice.get("/nowhere").await),
        ("broken query", alice.get("/device?user_code=%FF").await),
        ("strange callback", alice.get("/callback?code=a&state=b").await),
        ("code", alice.sign_in().await),
        ("no match", alice.enter("0000-0000").await),
        ("confirmation", alice.enter(&codes.user_code).await),
        ("denied", alice.deny(&denied).await),
        ("forged", alice.post("/device", &[("intent", "deny"), ("csrf", "x")]).await),
    ];
    let confirmation = pages[8].1.text.clone();
    let page = Answer { status: StatusCode::OK, headers: header::HeaderMap::new(), text: confirmation };
    alice.press(&page, "#authorize").await;
    pages.push(("sent on", alice.get("/device/go").await));
    let mut cross_site = post("/device", &[]);
    cross_site.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    pages.push(("cross-site", alice.send(cross_site).await));
    app.store.fail(Call::Find, StoreFault::Before, 1);
    pages.push(("store away", alice.enter("0000-0000").await));
    app.store.heal();
    pages.push(("approved", alice.approve(&codes).await));
    pages
}

/// SEC-02, SEC-03: every page, error pages included, has the whole policy, may not be framed, leaks no address and is kept
/// by nobody.
#[tokio::test]
async fn every_page_has_its_headers() {
    let app = TestApp::new().await;
    for (name, page) in every_page(&app).await {
        assert!(page.header(header::CONTENT_TYPE).eq_ignore_ascii_case("text/html; charset=utf-8"), "{name}");
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        for directive in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "style-src 'self'",
        ] {
            assert!(policy.split("; ").any(|own| own == directive), "{name}: {directive} in {policy}");
        }
        for hole in ["unsafe", "script-src", "*", "data:", "http"] {
            assert!(!policy.contains(hole), "{name}: {hole} in {policy}");
        }
        assert_eq!(page.header(header::X_FRAME_OPTIONS), "DENY", "{name}");
        assert_eq!(page.header(header::REFERRER_POLICY), "same-origin", "{name}");
        assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{name}");
        assert_eq!(page.header(header::CACHE_CONTROL), "no-store", "{name}");
    }
}

/// SEC-02, SEC-03: no page has anything inline, and nothing on it comes from anybody else; only the way to the pool leads
/// out.
#[tokio::test]
async fn no_page_has_anything_inline_or_foreign() {
    let app = TestApp::new().await;
    let all = Selector::parse("*").unwrap();
    for (name, page) in every_page(&app).await {
        for element in Html::parse_document(&page.text).select(&all) {
            let own = element.value();
            assert!(
                !["script", "style", "iframe", "object", "embed", "base"].contains(&own.name()),
                "{name}"
            );
            for (attribute, value) in own.attrs() {
                assert!(attribute != "style" && !attribute.starts_with("on"), "{name}: {attribute}");
                let leads_on = own.id() == Some("go-on");
                if ["href", "src", "action", "poster", "srcset"].contains(&attribute) && !leads_on {
                    assert!(value.starts_with('/') && !value.starts_with("//"), "{name}: {value}");
                }
            }
        }
    }
}

/// SEC-04, SEC-05: every cookie is `__Host-`, Secure, `HttpOnly`, Lax, for the whole host and no other, and short-lived; what is
/// in it cannot be read.
#[tokio::test]
async fn every_cookie_is_locked() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let mut set = Vec::new();
    let mut collect = |answer: &Answer| {
        let lines = answer.headers.get_all(header::SET_COOKIE).iter();
        set.extend(lines.map(|line| line.to_str().unwrap().to_owned()));
    };
    collect(&alice.get(&format!("/device?user_code={}", codes.user_code)).await);
    let departure = alice.get("/device").await;
    collect(&departure);
    let back = alice.person.visit(&away(&departure).unwrap()).await.unwrap();
    collect(&alice.get(&local(&back)).await);
    let entered = alice.get("/device").await;
    let confirmation = alice.decide(&entered, "#continue").await;
    collect(&confirmation);
    let sent_on = alice.decide(&confirmation, "#authorize").await;
    collect(&sent_on);
    let on = away(&alice.get("/device/go").await).unwrap();
    let back = alice.person.visit(&on).await.unwrap();
    collect(&alice.get(&local(&back)).await);
    for kind in ["session", "page", "kept", "go", "done", "a-"] {
        assert!(set.iter().any(|line| line.starts_with(&format!("__Host-dg-{kind}"))), "{kind} in {set:#?}");
    }
    for line in &set {
        let (name_and_value, attributes) = line.split_once("; ").unwrap();
        let attributes: Vec<_> = attributes.split("; ").collect();
        assert!(name_and_value.starts_with("__Host-dg-"), "{line}");
        for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(attributes.contains(&attribute), "{attribute} in {line}");
        }
        assert!(!line.contains("Domain"), "{line}");
        let age = attributes.iter().find_map(|own| own.strip_prefix("Max-Age=")).unwrap();
        assert!(age.parse::<u32>().unwrap() <= 3600, "{line}");
        for secret in [&codes.user_code, &codes.user_code.replace('-', ""), "alice", "Alice"] {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}

/// SEC-04: a cookie with any byte changed is no cookie, and each works on the other replica.
#[tokio::test]
async fn a_changed_cookie_is_no_cookie() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    alice.replica = 1;
    assert!(text(&alice.get("/device").await, "#continue").is_some(), "the other replica takes it");
    let at = alice.cookies.iter().position(|(name, _)| name == "__Host-dg-session").unwrap();
    let whole = alice.cookies[at].1.clone();
    for place in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        alice.cookies[at].1 = String::from_utf8(changed).unwrap();
        let page = alice.peek("/device").await;
        assert!(text(&page, "#continue").is_none(), "byte {place}");
    }
    alice.cookies[at].1 = whole;
    assert!(text(&alice.get("/device").await, "#continue").is_some());
}

/// SEC-06: whatever was planted before the sign-in, session and page are drawn anew at it: forms of whoever planted them are
/// not taken.
#[tokio::test]
async fn planted_cookies_are_not_adopted() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut mallory = Browser::of(&app, "bob");
    let his = mallory.enter(&codes.user_code).await;
    let value = |browser: &Browser<'_>, name: &str| {
        browser.cookies.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    };
    let names = ["__Host-dg-session", "__Host-dg-page"];
    let planted: Vec<_> = names.map(|name| (name.to_owned(), value(&mallory, name).unwrap())).to_vec();

    // His page cookie alone, in her clean browser; and both, where she then signs in as herself.
    for cookies in [&planted[1..], &planted[..]] {
        let mut alice = Browser::alice(&app);
        alice.cookies = cookies.to_vec();
        if cookies.len() == 2 {
            let page = alice.get("/device").await;
            let csrf = field(&page, "#sign-out", "csrf");
            alice.post("/device/sign-out", &[("csrf", &csrf)]).await;
        }
        let page = alice.enter(&codes.user_code).await;
        assert_eq!(text(&page, ".who-name").unwrap(), "Alice Example");
        for (name, old) in &planted {
            assert_ne!(value(&alice, name).as_ref(), Some(old), "{name} is drawn anew");
        }
        for button in ["#authorize", "#deny"] {
            assert_eq!(alice.decide(&his, button).await.status, StatusCode::FORBIDDEN);
        }
        // What is sealed in the planted page cookie is not hers either.
        alice.cookies.retain(|(name, _)| name != names[1]);
        alice.cookies.push(planted[1].clone());
        assert_eq!(alice.decide(&page, "#deny").await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// SEC-06: each sign-in makes a session of its own, also of the same person in the same browser.
#[tokio::test]
async fn the_session_changes_at_each_sign_in() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let before = alice.enter(&codes.user_code).await;
    alice.cookies.retain(|(name, _)| name != "__Host-dg-session");
    alice.sign_in().await;
    assert_eq!(alice.decide(&before, "#deny").await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// SEC-06: a session ends when the browser sends nothing for a quarter of an hour, and after an hour whatever it sends;
/// what it is asked for then leads to a sign-in, with the code kept.
#[tokio::test]
async fn sessions_end() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    let is_signed_in = |page: &Answer| text(page, "#continue").is_some();
    let mut page = alice.sign_in().await;
    app.advance(899);
    assert!(is_signed_in(&alice.get("/device").await), "a minute before the idle limit");
    app.advance(899);
    assert!(is_signed_in(&alice.get("/device").await), "the idle time begins anew");
    app.advance(900);
    let codes = app.start(TV).await;
    let mut form = form_of(&page, "#continue");
    form.iter_mut().find(|(name, _)| name == "user_code").unwrap().1.clone_from(&codes.user_code);
    let pairs: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let ended = alice.post("/device", &pairs).await;
    assert_eq!((ended.status, ended.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/device"));
    page = alice.sign_in().await;
    assert_eq!(field(&page, "#continue", "user_code"), codes.user_code, "what was typed is kept");

    for _ in 0..5 {
        app.advance(600);
        assert!(is_signed_in(&alice.get("/device").await));
    }
    app.advance(599);
    assert!(is_signed_in(&alice.get("/device").await));
    app.advance(1);
    assert!(!is_signed_in(&alice.get("/device").await), "an hour is the end");
}

/// SEC-09: no parameter, header or path of anybody sends the browser elsewhere than to a path of ours or to the pool.
#[tokio::test]
async fn nobody_can_choose_where_a_browser_goes() {
    let app = TestApp::new().await;
    let pool = app.pool.issuer().to_owned();
    let mut alice = Browser::alice(&app);
    let names = ["next", "return_to", "redirect_uri", "url", "continue", "rd", "post_logout_redirect_uri"];
    let values = [
        "//evil.example",
        "https:evil.example",
        "/\\evil.example",
        "https://evil.example",
        "%2f%2fevil.example",
    ];
    let is_ours = |answer: &Answer| {
        let location = answer.header(header::LOCATION);
        let local = location.is_empty()
            || (location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'));
        let on = away(answer).is_none_or(|url| url.as_str().starts_with(&pool));
        local && on && !answer.text.contains("evil.example\"")
    };
    for signed_in in [false, true] {
        if signed_in {
            alice.sign_in().await;
        }
        for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (name, value))) {
            for path in ["/", "/device", "/device/go", "/device/done", "/callback"] {
                let answer = alice.get(&format!("{path}?{name}={}", value.replace('\\', "%5c"))).await;
                assert!(is_ours(&answer), "{path} {name} {value}: {answer:?}");
            }
        }
    }
    for path in ["//evil.example/device", "/%2fevil.example", "/device//evil.example"] {
        assert!(is_ours(&alice.get(path).await), "{path}");
    }
    let page = alice.get("/device").await;
    let csrf = field(&page, "#sign-out", "csrf");
    let out = alice
        .post(
            "/device/sign-out",
            &[
                ("csrf", &csrf),
                ("next", "//evil.example"),
                ("post_logout_redirect_uri", "https://evil.example"),
            ],
        )
        .await;
    assert_eq!(out.header(header::LOCATION), "/device/go");
    let on = away(&alice.get("/device/go").await).unwrap();
    let back = on.query_pairs().find(|(name, _)| name == "post_logout_redirect_uri").unwrap().1.into_owned();
    assert_eq!(back, format!("{PUBLIC_URL}/device"));
}

/// SEC-10: no answer to a foreign origin, preflight or not, opens anything to scripts.
#[tokio::test]
async fn nothing_is_shared_with_other_origins() {
    let app = TestApp::new().await;
    for path in PATHS {
        for method in [Method::OPTIONS, Method::GET, Method::POST] {
            let mut foreign = request(method.clone(), path);
            for (name, value) in [
                ("origin", "https://evil.example"),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "authorization"),
            ] {
                foreign.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            let answer = app.send(foreign).await;
            let shared = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(shared, None, "{method} {path}");
        }
    }
}

/// SEC-05, UI-08: a form that another site sends by itself is refused even with every right token and cookie; `SameSite` is not
/// what it rests on.
#[tokio::test]
async fn a_form_of_another_site_is_refused_with_all_its_tokens() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    for button in ["#authorize", "#deny", "#sign-out"] {
        let form = form_of(&page, button);
        let pairs: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let path = if button == "#sign-out" { "/device/sign-out" } else { "/device" };
        for (site, origin) in [
            (Some("cross-site"), Some("https://evil.example")),
            (Some("same-site"), Some("https://other.example.com")),
            (Some("cross-site"), None),
            (None, Some("https://evil.example")),
            (None, Some("http://login.example.com")),
        ] {
            let mut forged = post(path, &pairs);
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    forged.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            forged.headers_mut().insert(header::HOST, HeaderValue::from_static("login.example.com"));
            assert_eq!(
                alice.send(forged).await.status,
                StatusCode::FORBIDDEN,
                "{button} {site:?} {origin:?}"
            );
        }
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert!(text(&alice.get("/device").await, "#sign-out").is_some(), "still signed in");
}

/// UI-03, CB-13: GET and HEAD with everything that a form would send decide nothing.
#[tokio::test]
async fn no_get_decides_with_a_forms_parameters() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    for button in ["#authorize", "#deny"] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form_of(&page, button))
            .finish();
        for method in [Method::GET, Method::HEAD] {
            let asked = Request::builder().method(method).uri(format!("/device?{query}")).body(Body::empty());
            let answer = alice.send(asked.unwrap()).await;
            assert!(answer.headers.get(header::LOCATION).is_none(), "{answer:?}");
        }
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}
