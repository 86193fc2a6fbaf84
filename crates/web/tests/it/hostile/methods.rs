//! Methods and paths.

use axum::http::{HeaderMap, Method, StatusCode, header};
use device_grant_testkit::Call;

use super::super::app::*;
use super::super::browser::{Browser, outcome};

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
    let back = alice.way_back(&codes).await;
    for method in [Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT] {
        alice.send(request(method, &back)).await;
    }
    assert_eq!(app.store.count(Call::Transition), 0);
    assert_eq!(outcome(&alice.land(&back).await), "approved");
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
        for request in [post(path, &[("client_id", TV)]), request(Method::GET, path)] {
            let (method, answer) = (request.method().clone(), app.send(request).await);
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        }
    }
    assert_eq!(app.store.count(Call::Create), 0);
}
