//! Input that should not be: the form of requests here, what stands in them and around them in the files beside.

mod controls;
mod keys;
mod methods;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use device_grant_protocol::GRANT_TYPE_DEVICE_CODE;
use device_grant_testkit::Call;

use super::app::*;
use super::browser::{Browser, field, text};

/// What devices call.
pub const BACK_CHANNEL: [&str; 3] = ["/device_authorization", "/token", "/revoke"];

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
