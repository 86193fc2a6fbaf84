//! Whole requests, as a stranger or a proxy of ours sends them: `Host`, `X-Forwarded-For`, `X-Forwarded-Proto`, cookies,
//! parameters.
#![no_main]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use device_grant_fuzz::{Fixture, wait};
use device_grant_web::{Health, Load, OnStoreFailure, SessionLimits, SignIn, WebConfig, router};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tower::ServiceExt;

/// Requests that are started are kept, so the service is made anew after some.
const LIVES: u32 = 2_000;
const MOST: usize = 1 << 20;

thread_local!(static OURS: RefCell<(u32, Router)> = RefCell::new((0, fresh())));

fn fresh() -> Router {
    let health = Arc::new(Health::default());
    health.note_store(Ok(()));
    let web = WebConfig {
        service_name: "Example".to_owned(),
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
        sample_way: true,
        on_store_failure: OnStoreFailure::SlowDown,
        sign_in: SignIn::First,
        sessions: SessionLimits { idle: Duration::from_mins(15), life: Duration::from_hours(1) },
        body_timeout: Duration::from_secs(20),
    };
    router(Fixture::default().service, health, Arc::new(Load::new(1000)), web)
}

/// `POST /token`, lines of headers, an empty line, and the body.
fn read(text: &str) -> Option<Request<Body>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, uri) = lines.next()?.split_once(' ')?;
    let mut request = Request::new(Body::from(body.to_owned()));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri.parse::<Uri>().ok().filter(|uri| uri.path().starts_with('/'))?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(request)
}

fn check(is_ours: bool, sent: &HeaderMap, path: &str, status: StatusCode, body: &[u8]) {
    let said = sent.get_all("x-forwarded-proto").iter().next_back();
    // The one 500 there is: a proxy of ours does not say how it was asked.
    let unsaid = is_ours && said.is_none_or(|said| said.to_str().is_err());
    assert!(status != StatusCode::INTERNAL_SERVER_ERROR || unsaid, "{}", String::from_utf8_lossy(body));
    let is_for_devices = ["/token", "/revoke", "/device_authorization"].contains(&path);
    assert!(is_ours || !is_for_devices || !status.is_success(), "a stranger came past the proxy");
    assert!(sent.get_all("host").iter().count() == 1 || status == StatusCode::BAD_REQUEST);
    if is_for_devices && !status.is_success() && !body.is_empty() {
        let answer: serde_json::Value = serde_json::from_slice(body).expect("devices are answered in JSON");
        assert!(answer["error"].is_string());
    }
}

fuzz_target!(|input: (bool, &str)| OURS.with_borrow_mut(|(uses, app)| {
    *uses += 1;
    if *uses == LIVES {
        (*uses, *app) = (0, fresh());
    }
    let (is_ours, text) = input;
    let Some(mut request) = read(text) else { return };
    let peer: SocketAddr =
        if is_ours { "10.0.0.1:4711" } else { "192.0.2.1:4711" }.parse().expect("an address");
    request.extensions_mut().insert(ConnectInfo(peer));
    let (sent, path) = (request.headers().clone(), request.uri().path().to_owned());
    let (status, body) = wait(async {
        let (parts, body) = app.clone().oneshot(request).await.expect("it always answers").into_parts();
        (parts.status, to_bytes(body, MOST).await.expect("an answer is short"))
    });
    check(is_ours, &sent, &path, status, &body);
}));
