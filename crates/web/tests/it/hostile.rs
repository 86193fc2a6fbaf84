use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use device_grant_protocol::GRANT_TYPE_DEVICE_CODE;
use device_grant_testkit::{Call, StoreFault};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::app::*;
use super::browser::{Browser, field, local, outcome, text};

const BACK_CHANNEL: [&str; 3] = ["/device_authorization", "/token", "/revoke"];
/// Every path, with what it takes beside OPTIONS.
const PATHS: [(&str, &[Method]); 13] = [
    ("/device_authorization", &[Method::POST]),
    ("/token", &[Method::POST]),
    ("/revoke", &[Method::POST]),
    ("/device/sign-out", &[Method::POST]),
    ("/device", &[Method::GET, Method::HEAD, Method::POST]),
    ("/", &[Method::GET, Method::HEAD]),
    ("/device/go", &[Method::GET, Method::HEAD]),
    ("/device/done", &[Method::GET, Method::HEAD]),
    ("/device/assets/style.css", &[Method::GET, Method::HEAD]),
    ("/callback", &[Method::GET, Method::HEAD]),
    ("/.well-known/oauth-authorization-server", &[Method::GET, Method::HEAD]),
    ("/livez", &[Method::GET, Method::HEAD]),
    ("/readyz", &[Method::GET, Method::HEAD]),
];

/// Everything that is logged, value by value, as it is before any formatter makes it safe.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<String>>>);

impl Logged {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for Logged {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.0.lock().unwrap().push(value.to_owned());
    }

    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push(format!("{value:?}"));
    }
}

impl Subscriber for Logged {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn get(path: &str) -> Request<Body> {
    request(Method::GET, path)
}

/// TP-15, DA-05: every error of the token endpoint is 400 JSON in plain ASCII, and neither it nor the success may be
/// kept.
#[tokio::test]
async fn every_answer_of_the_token_endpoint_has_the_right_form() {
    let app = TestApp::new().await;
    let (open, denied, good) = (app.start(TV).await, app.start(TV).await, app.start(TV).await);
    let mut alice = Browser::alice(&app);
    alice.deny(&denied).await;
    alice.approve(&good).await;
    let unknown = Codes { device_code: "ümläut\"\\".to_owned(), ..open.clone() };
    let answers = [
        app.poll(TV, &open).await,
        app.poll(TV, &open).await,
        app.poll(TV, &denied).await,
        app.poll(TV, &unknown).await,
        app.poll(BARRED, &open).await,
        app.post("/token", &[("client_id", TV), ("grant_type", "ümläut\"\\\n")]).await,
        app.post("/token", &[("client_id", TV), ("grant_type", "")]).await,
        app.post("/token", &[("client_id", TV), ("scope", "ümläut\"\\")]).await,
        raw_twice(&app).await,
        {
            app.advance(1800);
            app.poll(TV, &open).await
        },
    ];
    let heard: Vec<String> = answers.iter().map(Answer::error).collect();
    let expected = [
        "authorization_pending",
        "slow_down",
        "access_denied",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_request",
        "invalid_scope",
        "invalid_request",
        "expired_token",
    ];
    assert_eq!(heard, expected);
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(answer.text.is_ascii(), "{}", answer.text);
    }
    let fresh = app.start(TV).await;
    Browser::alice(&app).approve(&fresh).await;
    let tokens = app.poll(TV, &fresh).await;
    assert_eq!((tokens.status, tokens.header(header::CONTENT_TYPE)), (StatusCode::OK, "application/json"));
    assert_eq!(
        (tokens.header(header::CACHE_CONTROL), tokens.header(header::PRAGMA)),
        ("no-store", "no-cache")
    );
}

/// A repeated parameter whose name would not fit into a description.
async fn raw_twice(app: &TestApp) -> Answer {
    app.send(raw_post("/token", "client_id=tv&%22%5C%0Aü=1&%22%5C%0A%C3%BC=2")).await
}

/// HI-04: what is not UTF-8, or not an escape, is refused as it stands, in each parameter, in body and query.
#[tokio::test]
async fn bytes_that_are_not_utf8_are_refused() {
    let app = TestApp::new().await;
    let names = [
        "client_id",
        "scope",
        "device_code",
        "grant_type",
        "refresh_token",
        "token",
        "client_secret",
        "unknown",
    ];
    for broken in ["%FF", "%C0%80", "%ED%A0%80", "%F5%80%80%80", "%G1", "a%", "%1", "%C3"] {
        for path in BACK_CHANNEL {
            for name in names {
                let rest = if name == "client_id" { "" } else { "client_id=tv&" };
                let in_body = raw_post(path, format!("{rest}{name}={broken}"));
                let in_query = raw_post(&format!("{path}?{name}={broken}"), rest);
                let in_name = raw_post(path, format!("{rest}{name}{broken}=x"));
                for request in [in_body, in_query, in_name] {
                    let answer = app.send(request).await;
                    let heard = (answer.status.as_u16(), answer.error());
                    assert_eq!(heard, (400, "invalid_request".to_owned()), "{path} {name}={broken}");
                    assert!(!answer.text.contains('\u{fffd}'));
                }
            }
        }
    }
    let raw = raw_post("/token", &b"client_id=tv&scope=\xff\xfe"[..]);
    assert_eq!(app.send(raw).await.error(), "invalid_request");
    assert_eq!(app.store.count(Call::Create) + app.store.count(Call::Load), 0);
}

/// HI-04: the same on the person's side, with a page instead of JSON.
#[tokio::test]
async fn pages_refuse_bytes_that_are_not_utf8() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    let page = alice.sign_in().await;
    let csrf = field(&page, "#continue", "csrf");
    for broken in ["%FF", "%C0%80", "%G1", "a%", "%1"] {
        for path in ["/device?user_code=", "/device?code=", "/callback?state=", "/callback?state=x&code="] {
            let answer = alice.get(&format!("{path}{broken}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}{broken}");
        }
        for form in [format!("intent=lookup&csrf={csrf}&user_code={broken}"), format!("csrf={broken}")] {
            let answer = alice.send(raw_post("/device", form)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}");
            assert!(!answer.text.contains('\u{fffd}'));
        }
    }
}

/// HI-05: a repeated parameter is refused: equal, empty, under an escape, or in two places.
#[tokio::test]
async fn a_repeated_parameter_is_refused() {
    for sample_way in [true, false] {
        let web = Box::new(move |web: &mut device_grant_web::WebConfig| web.sample_way = sample_way);
        let app = TestApp::with(Options { web, ..Options::default() }).await;
        let bodies = [
            ("", "client_id=tv&client_id=tv"),
            ("", "client_id=tv&client_id=other"),
            ("", "client_id=tv&scope=&scope=openid"),
            ("", "client_id=tv&scope=openid&scope="),
            ("", "client_id=tv&client%5Fid=tv"),
            ("", "client_id=tv&unknown=1&unknown=2"),
            ("", "client_id=tv&unknown&unknown="),
            ("?client_id=tv", "client_id=tv"),
            ("?client_id=", "client_id=tv"),
            ("?scope=openid", "client_id=tv&scope="),
            ("?unknown=1&unknown=1", "client_id=tv"),
            ("?client%5fid=tv", "client_id=tv"),
        ];
        for path in BACK_CHANNEL {
            for (query, body) in bodies {
                for more in ["", "&token=x", "&grant_type=refresh_token&refresh_token=x"] {
                    let answer = app.send(raw_post(&format!("{path}{query}"), format!("{body}{more}"))).await;
                    let heard = (answer.status.as_u16(), answer.error());
                    assert_eq!(heard, (400, "invalid_request".to_owned()), "{path}{query} {body}{more}");
                }
            }
        }
        let Codes { device_code, .. } = app.start(TV).await;
        let poll = format!("client_id=tv&grant_type={GRANT_TYPE_DEVICE_CODE}&device_code={device_code}");
        for twice in ["device_code=x", "device_code=", &format!("grant_type={GRANT_TYPE_DEVICE_CODE}")] {
            let answer = app.send(raw_post("/token", format!("{poll}&{twice}"))).await;
            assert_eq!(answer.error(), "invalid_request", "{twice}");
            let answer = app.send(raw_post(&format!("/token?{twice}"), poll.clone())).await;
            assert_eq!(answer.error(), "invalid_request", "{twice}");
        }
    }
}

/// HI-05: pages refuse it too.
#[tokio::test]
async fn pages_refuse_a_repeated_parameter() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.sign_in().await;
    let csrf = field(&page, "#continue", "csrf");
    for path in ["/device?user_code=a&user_code=a", "/device?code=&code=a", "/callback?state=a&state="] {
        assert_eq!(alice.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let twice = format!("intent=lookup&csrf={csrf}&user_code={0}&user_code={0}", codes.user_code);
    assert_eq!(alice.send(raw_post("/device", twice)).await.status, StatusCode::BAD_REQUEST);
}

/// Words that may turn up nowhere but in the text of a page.
const INJECTED: &str = "x%0D%0ASet-Cookie%3A%20evil%3D1%0D%0A%0D%0A%00%1B%5B31m%7Fevil";

#[track_caller]
fn assert_nothing_injected(answer: &Answer) {
    assert!(!answer.status.is_server_error(), "{answer:?}");
    for (name, value) in &answer.headers {
        assert!(!value.as_bytes().windows(4).any(|window| window == b"evil"), "{name}: {value:?}");
    }
    let stray = |c: char| c.is_control() && c != '\n';
    assert!(!answer.text.contains(stray), "{}", answer.text);
}

/// HI-06: control characters in any value split no header, reach no redirect, no cookie and no JSON.
#[tokio::test]
async fn control_characters_go_nowhere() {
    let logged = Logged::default();
    let _guard = tracing::subscriber::set_default(logged.clone());
    let app = TestApp::new().await;
    for name in
        ["client_id", "scope", "device_code", "grant_type", "refresh_token", "token", "unknown", INJECTED]
    {
        for path in BACK_CHANNEL {
            let rest = if name == "client_id" { "" } else { "client_id=tv&" };
            for request in [
                raw_post(path, format!("{rest}{name}={INJECTED}")),
                raw_post(&format!("{path}?{name}={INJECTED}"), rest),
                raw_post(path, format!("{rest}{name}={INJECTED}&{name}=2")),
                raw_post(path, format!("{rest}grant_type={GRANT_TYPE_DEVICE_CODE}&device_code={INJECTED}")),
                raw_post(
                    path,
                    format!("{rest}grant_type=refresh_token&refresh_token={INJECTED}&token={INJECTED}"),
                ),
            ] {
                assert_nothing_injected(&app.send(request).await);
            }
        }
    }
    assert_the_log_is_clean(&logged, "/token");
}

/// HI-06: the same in the browser: user code, state, and the pool's error with its description.
#[tokio::test]
async fn control_characters_go_nowhere_in_the_browser() {
    let logged = Logged::default();
    let _guard = tracing::subscriber::set_default(logged.clone());
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    assert_nothing_injected(&alice.get(&format!("/device?user_code={INJECTED}")).await);
    let page = alice.sign_in().await;
    assert_nothing_injected(&page);
    let csrf = field(&page, "#continue", "csrf");
    let form = format!("intent=lookup&csrf={csrf}&user_code={INJECTED}");
    let page = alice.send(raw_post("/device", form)).await;
    assert_nothing_injected(&page);
    assert!(text(&page, "#notice").is_some(), "{}", page.text);
    assert_nothing_injected(&alice.get(&format!("/callback?state={INJECTED}&code=x")).await);
    let away = alice.authorize(&codes).await;
    let (_, state) = away.query_pairs().find(|(name, _)| name == "state").unwrap();
    let refusals = [
        format!("error=server_error&error_description={INJECTED}&error_uri={INJECTED}"),
        format!("error={INJECTED}&error_description={INJECTED}"),
        format!("error=x&iss={INJECTED}"),
    ];
    for refusal in refusals {
        let answer = alice.get(&format!("/callback?state={state}&{refusal}")).await;
        assert_nothing_injected(&answer);
        assert!(!alice.get("/device/done").await.text.contains("evil"));
    }
    assert_the_log_is_clean(&logged, "/callback");
}

fn assert_the_log_is_clean(logged: &Logged, route: &str) {
    let logged = logged.all();
    assert!(logged.iter().any(|value| value == route), "the log holds the requests: {logged:?}");
    for value in logged {
        assert!(!value.contains("evil") && !value.contains(char::is_control), "{value:?}");
    }
}

/// HI-07: only a form is read: other media types, none, and encoded bodies are refused.
#[tokio::test]
async fn only_forms_are_read() {
    let app = TestApp::new().await;
    let form = "client_id=tv&token=x&grant_type=refresh_token&refresh_token=x";
    let wrong = [
        Some("application/json"),
        Some("multipart/form-data; boundary=x"),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded-not"),
        Some("application/x-www-form-urlencoded, text/plain"),
        Some(""),
        None,
    ];
    for path in BACK_CHANNEL {
        for media_type in wrong {
            let answer = app.send(typed(path, media_type, form)).await;
            let refused = [StatusCode::BAD_REQUEST, StatusCode::UNSUPPORTED_MEDIA_TYPE];
            assert!(refused.contains(&answer.status), "{path} {media_type:?}: {answer:?}");
            assert_eq!(answer.error(), "invalid_request", "{path} {media_type:?}");
        }
        for encoding in ["gzip", "deflate", "br", "identity, gzip"] {
            let mut encoded = typed(path, Some("application/x-www-form-urlencoded"), form);
            encoded.headers_mut().insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
            assert_eq!(app.send(encoded).await.error(), "invalid_request", "{path} {encoding}");
        }
    }
    let json = typed("/device_authorization", Some("application/json"), "{\"client_id\":\"tv\"}");
    assert_eq!(app.send(json).await.error(), "invalid_request");
    assert_eq!(app.store.count(Call::Create), 0);
}

/// HI-07: the form's media type with a parameter, or in other case, is a form.
#[tokio::test]
async fn the_form_type_is_read_with_forbearance() {
    let app = TestApp::new().await;
    let right = [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=\"utf-8\"",
        "Application/X-WWW-Form-URLEncoded ; Charset=utf-8",
    ];
    for media_type in right {
        let answer = app.send(typed("/device_authorization", Some(media_type), "client_id=tv")).await;
        assert_eq!(answer.status, StatusCode::OK, "{media_type}: {}", answer.text);
    }
}

/// HI-07: pages read forms only, so no other site can send one in disguise.
#[tokio::test]
async fn pages_read_forms_only() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.sign_in().await;
    let form = encode(&[
        ("intent", "lookup"),
        ("csrf", &field(&page, "#continue", "csrf")),
        ("user_code", &codes.user_code),
    ]);
    for media_type in
        [Some("text/plain"), Some("application/json"), Some("multipart/form-data; boundary=x"), None]
    {
        let answer = alice.send(typed("/device", media_type, &form)).await;
        assert!(answer.status.is_client_error(), "{media_type:?}: {}", answer.status);
        assert!(text(&answer, "#authorize").is_none());
    }
    let answer =
        alice.send(typed("/device", Some("application/x-www-form-urlencoded; charset=utf-8"), &form)).await;
    assert!(text(&answer, "#authorize").is_some(), "{}", answer.text);
}

fn typed(path: &str, media_type: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::post(path);
    if let Some(media_type) = media_type {
        request = request.header(header::CONTENT_TYPE, media_type);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// HI-08: each path takes its methods; others are 405 with `Allow`, OPTIONS needs no login, and none of this changes
/// anything.
#[tokio::test]
async fn methods_are_what_they_should_be() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let own: Method = "BREW".parse().unwrap();
    let all = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::TRACE,
        Method::CONNECT,
        own,
    ];
    for (path, taken) in PATHS {
        let options = app.send(request(Method::OPTIONS, path)).await;
        assert_eq!(options.status, StatusCode::NO_CONTENT, "{path}");
        assert!(allowed(&options.headers, taken), "{path}: {:?}", options.headers);
        for method in &all {
            let answer = app.send(request(method.clone(), path)).await;
            if taken.contains(method) {
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            } else {
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert!(allowed(&answer.headers, taken), "{method} {path}: {:?}", answer.headers);
            }
            assert!(*method != Method::HEAD || answer.text.is_empty(), "{path}");
            assert!(!answer.status.is_server_error(), "{method} {path}");
        }
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
}

/// Whether `Allow` names OPTIONS and exactly the methods `taken`.
fn allowed(headers: &HeaderMap, taken: &[Method]) -> bool {
    let value = headers.get(header::ALLOW).map_or("", |value| value.to_str().unwrap());
    let named: std::collections::BTreeSet<&str> = value.split(',').map(str::trim).collect();
    named == taken.iter().map(Method::as_str).chain(["OPTIONS"]).collect()
}

/// HI-08: a HEAD of a link with a code, of a sign-in and of a callback decides nothing and uses nothing up.
#[tokio::test]
async fn a_preview_changes_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let link = format!("/device?user_code={}", codes.user_code);
    assert_eq!(app.send(request(Method::HEAD, &link)).await.status, StatusCode::SEE_OTHER);
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let back = local(&alice.person.visit(&away).await.unwrap());
    for method in [Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT] {
        alice.send(request(method, &back)).await;
    }
    assert_eq!(app.store.count(Call::Transition), 0);
    assert_eq!(outcome(&alice.land(&back).await), "approved");
}

/// Keys that would mean something to a store, to a template or to a shell.
fn hostile_values() -> Vec<String> {
    let long = "a".repeat(20_000);
    let mut values = vec![
        long.clone(),
        "🔑".repeat(600),
        "R#x".to_owned(),
        "U#x".to_owned(),
        "C#tv".to_owned(),
        "S#".to_owned(),
        ":pk = :pk OR attribute_exists(pk)".to_owned(),
        "' OR 1=1 --".to_owned(),
        "{{ 7*7 }}${jndi:ldap://x}".to_owned(),
        "../../etc/passwd".to_owned(),
        "\u{0}".to_owned(),
        " ".to_owned(),
        "\u{202e}\u{feff}".to_owned(),
        "NaN".to_owned(),
    ];
    values.push(format!("R#{long}"));
    values
}

/// HI-11: as a device code each is an unknown code, as a client an unknown client, as a token an unknown token.
#[tokio::test]
async fn hostile_keys_are_unknown_keys() {
    let app = TestApp::new().await;
    for value in hostile_values() {
        let shown: String = value.chars().take(30).collect();
        let code = Codes { device_code: value.clone(), user_code: String::new() };
        assert_eq!(app.poll(TV, &code).await.error(), "invalid_grant", "{shown}");
        assert_eq!(
            app.post("/device_authorization", &[("client_id", &value)]).await.error(),
            "invalid_client"
        );
        let refresh = [("client_id", TV), ("grant_type", "refresh_token"), ("refresh_token", &*value)];
        assert_eq!(app.post("/token", &refresh).await.error(), "invalid_grant", "{shown}");
        let revoke =
            [("client_id", TV), ("token", &*value), ("token_type_hint", value.get(..1).unwrap_or_default())];
        if value.is_ascii() {
            assert_eq!(app.post("/revoke", &revoke).await.status, StatusCode::OK, "{shown}");
        }
    }
}

/// HI-11: codes and states of any kind get a page, never a fault, and reach the pool never.
#[tokio::test]
async fn hostile_codes_and_states_get_a_page() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    let page = alice.sign_in().await;
    let csrf = field(&page, "#continue", "csrf");
    let before = app.dev_pool().requests().all().len();
    for (n, value) in hostile_values().into_iter().enumerate() {
        let shown: String = value.chars().take(30).collect();
        let linked = alice.get(&format!("/device?{}", encode(&[("user_code", &value)]))).await;
        assert_eq!(linked.status, StatusCode::SEE_OTHER, "{shown}");
        let filled = alice.get("/device").await;
        assert_eq!(text(&filled, "#heading").unwrap(), "Check the code", "{shown}");
        assert!(!filled.text.contains("49"), "nothing is computed: {}", filled.text);
        let typed =
            alice.post("/device", &[("intent", "lookup"), ("csrf", &csrf), ("user_code", &value)]).await;
        // After the twentieth guess the answer would be another; there are fewer values.
        assert!(n < 20 && text(&typed, "#notice").is_some(), "{shown}: {}", typed.text);
        let back = alice.get(&format!("/callback?{}", encode(&[("state", &value), ("code", &value)]))).await;
        assert_eq!(back.status, StatusCode::FORBIDDEN, "{shown}");
        let confirm = [("csrf", &*csrf), ("intent", "authorize"), ("confirm", &*value)];
        assert_eq!(alice.post("/device", &confirm).await.status, StatusCode::FORBIDDEN, "{shown}");
        let intent = alice.post("/device", &[("csrf", &csrf), ("intent", &value)]).await;
        assert_eq!(intent.status, StatusCode::BAD_REQUEST, "{shown}");
    }
    assert_eq!(app.dev_pool().requests().all().len(), before, "the pool heard nothing of it");
}

/// HI-11: garbage, doubled and foreign cookies count as no cookie.
#[tokio::test]
async fn strange_cookies_are_no_cookies() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    let jar = alice.cookies.clone();
    let session = jar.iter().find(|(name, _)| name.contains("session")).unwrap().clone();
    let other = jar.iter().find(|(name, _)| name.contains("page")).unwrap().1.clone();
    let page_of = async |cookies: String| {
        let mut request = get("/device");
        request.headers_mut().insert(header::COOKIE, cookies.parse().unwrap());
        app.send(request).await
    };
    let good = jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    assert!(text(&page_of(good.clone()).await, "#continue").is_some(), "the jar itself signs in");
    let (name, value) = session;
    let strange = [
        format!("{name}=garbage"),
        format!("{name}="),
        name.clone(),
        format!("{name}={}", "A".repeat(5000)),
        format!("{name}={other}"),
        format!("{name}={}", value.to_lowercase()),
        format!("{}={value}", name.to_lowercase()),
        format!("{}={value}", name.trim_start_matches("__Host-")),
        format!("{good}; {name}=garbage"),
        format!("{name}=garbage; {good}"),
        format!("{name}={value}; {name}={value}"),
        "=; ;;; =a; b; \"c\"=d".to_owned(),
    ];
    for cookies in strange {
        let answer = page_of(cookies.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{cookies}");
        assert!(text(&answer, "#continue").is_none(), "nobody is signed in: {cookies}");
        for path in ["/device/done", "/device/go"] {
            let mut request = get(path);
            request.headers_mut().insert(header::COOKIE, cookies.parse().unwrap());
            assert_eq!(app.send(request).await.status, StatusCode::SEE_OTHER, "{path} {cookies}");
        }
    }
    let mut bytes = get("/device");
    bytes
        .headers_mut()
        .insert(header::COOKIE, axum::http::HeaderValue::from_bytes(b"\xff=\xfe; a=\xff").unwrap());
    assert_eq!(app.send(bytes).await.status, StatusCode::OK);
}

/// HI-11: a store that fails under any of it is no 500 and no stack trace.
#[tokio::test]
async fn a_failing_store_shows_nothing_of_itself() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    app.store.fail(Call::Load, StoreFault::Before, 1);
    app.store.fail(Call::Find, StoreFault::Before, 1);
    let answers = [app.poll(TV, &codes).await, Browser::alice(&app).enter(&codes.user_code).await];
    for answer in answers {
        assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!answer.text.contains("test made this call fail"), "{}", answer.text);
    }
}

/// HI-12: identifiers are compared byte for byte: other case, a space more or another normal form is another value.
#[tokio::test]
async fn identifiers_are_compared_byte_for_byte() {
    let app = TestApp::new().await;
    for id in ["TV", "Tv", " tv", "tv ", "tv\u{200b}", "ｔｖ", "tv\u{0}"] {
        let answer = app.post("/device_authorization", &[("client_id", id)]).await;
        assert_eq!(answer.error(), "invalid_client", "{id:?}");
    }
    for secret in ["S:+/=%ü", "s:+/=%u\u{308}", "s:+/=%ü ", "s:+/=%Ü", "s: /=%ü"] {
        let answer = app.send(with_basic(post("/device_authorization", &[]), SPEAKER, secret)).await;
        assert_eq!(answer.error(), "invalid_client", "{secret:?}");
    }
    for scope in ["OpenID", "openid Profile", "openid\u{a0}profile"] {
        let answer = app.post("/device_authorization", &[("client_id", TV), ("scope", scope)]).await;
        assert_eq!(answer.error(), "invalid_scope", "{scope:?}");
    }
    let codes = app.start(TV).await;
    let code = &codes.device_code;
    let swapped: String = code
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    for device_code in
        [swapped, format!("{code} "), format!(" {code}"), format!("{code}\u{200b}"), code[1..].to_owned()]
    {
        let changed = Codes { device_code, ..codes.clone() };
        assert_eq!(app.poll(TV, &changed).await.error(), "invalid_grant", "{changed:?}");
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// HI-12: so are `state` and `iss` of a callback.
#[tokio::test]
async fn state_and_issuer_are_compared_byte_for_byte() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let back = alice.person.visit(&away).await.unwrap();
    let pairs: Vec<(String, String)> = back.query_pairs().into_owned().collect();
    let value = |name: &str| pairs.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let (code, state, issuer) = (value("code"), value("state"), app.pool.issuer().to_owned());
    let callback = |state: &str, iss: &str| {
        format!("/callback?{}", encode(&[("code", &code), ("state", state), ("iss", iss)]))
    };
    let swapped: String = state
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    for other in [swapped, format!("{state} "), format!(" {state}"), format!("{state}=")] {
        assert_eq!(alice.get(&callback(&other, &issuer)).await.status, StatusCode::FORBIDDEN, "{other}");
    }
    for other in [
        issuer.to_uppercase(),
        format!("{issuer}/"),
        format!("{issuer} "),
        issuer.replace("127.0.0.1", "localhost"),
    ] {
        assert_eq!(alice.get(&callback(&state, &other)).await.status, StatusCode::BAD_REQUEST, "{other}");
    }
    assert_eq!(app.store.count(Call::Transition), 0);
    assert_eq!(outcome(&alice.land(&callback(&state, &issuer)).await), "approved");
}

/// HI-13: only the exact paths are endpoints.
#[tokio::test]
async fn only_the_exact_paths_answer() {
    let app = TestApp::new().await;
    let paths = [
        "//token",
        "/token/",
        "/TOKEN",
        "/Token",
        "/x/../token",
        "/./token",
        "/%74oken",
        "/token%2F",
        "/token%00",
        "/token;x",
        "/device_authorization/",
        "/revoke//",
        "//device",
        "/device/",
        "/DEVICE",
        "/device/assets/../../token",
        "/device/assets/",
        "/callback/",
        "/.well-known/oauth-authorization-server/",
    ];
    for path in paths {
        for request in [post(path, &[("client_id", TV)]), get(path)] {
            let (method, answer) = (request.method().clone(), app.send(request).await);
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        }
    }
    assert_eq!(app.store.count(Call::Create), 0);
}

/// Two `Authorization` headers, and a body or a number of parameters beyond any device's need, are refused unread.
#[tokio::test]
async fn too_much_is_refused() {
    let app = TestApp::new().await;
    let mut twice = with_basic(post("/device_authorization", &[]), SPEAKER, SECRET);
    let value = twice.headers()[header::AUTHORIZATION].clone();
    twice.headers_mut().append(header::AUTHORIZATION, value);
    assert_eq!(app.send(twice).await.error(), "invalid_request");
    let many: String = (0..100_000).fold("client_id=tv".to_owned(), |form, n| form + "&p" + &n.to_string());
    let few: String = (0..100).fold("client_id=tv".to_owned(), |form, n| form + "&p" + &n.to_string());
    for body in [many, few, format!("client_id=tv&scope={}", "a".repeat(1 << 20))] {
        for path in BACK_CHANNEL {
            assert_eq!(app.send(raw_post(path, body.clone())).await.error(), "invalid_request", "{path}");
        }
    }
    assert_eq!(app.store.count(Call::Create), 0);
}
