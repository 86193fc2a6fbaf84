//! How requests arrive: over TLS or not, from whom, and for which host.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, Version, header};
use device_grant_domain::store::StoreProblem;
use device_grant_testkit::Call;
use serde_json::json;

use super::app::*;
use super::browser::text;
use super::hostile::BACK_CHANNEL;

const STRANGER: &str = "203.0.113.9:4711";

/// From which peer, with which headers; the status that it gets.
type Arrival = (&'static str, &'static [(&'static str, &'static str)], u16);

fn with(mut request: Request<Body>, headers: &[(&'static str, &str)]) -> Request<Body> {
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

fn start() -> Request<Body> {
    post("/device_authorization", &[("client_id", TV)])
}

/// SEC-13: devices are refused over plain http, past the proxy or through it, and no code leaves; the words name the
/// remedy.
#[tokio::test]
async fn no_code_leaves_over_plain_http() {
    let app = TestApp::new().await;
    let arrivals: [Arrival; 6] = [
        (STRANGER, &[], 400),
        (STRANGER, &[("x-forwarded-proto", "https")], 400),
        (BALANCER, &[("x-forwarded-proto", "http")], 400),
        // A stranger wrote the first; the proxy appended the second.
        (BALANCER, &[("x-forwarded-proto", "https, http")], 400),
        (BALANCER, &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], 400),
        (BALANCER, &[], 500),
    ];
    for (peer, headers, status) in arrivals {
        for path in BACK_CHANNEL {
            let answer = app.send_from(0, peer, with(post(path, &[("client_id", TV)]), headers)).await;
            assert_eq!(answer.status.as_u16(), status, "{peer} {headers:?}: {answer:?}");
            let names_it =
                answer.text.contains("use https") || answer.text.contains("network.trusted_proxies");
            assert!(names_it, "{}", answer.text);
            assert!(!answer.headers.contains_key(header::LOCATION), "a POST is never sent on");
        }
    }
    assert_eq!(app.store.count(Call::Create), 0);
    let secure = app.send_from(0, BALANCER, with(start(), &[("x-forwarded-proto", "HTTPS")])).await;
    assert_eq!(secure.status, StatusCode::OK, "{}", secure.text);
}

/// SEC-13, SEC-09: a page is opened over https instead, at our own address, whatever the request says; a form is refused.
#[tokio::test]
async fn pages_move_to_https_and_forms_do_not() {
    let app = TestApp::new().await;
    for path in ["/device?user_code=WDJB-MJHT", "//evil.example/device", "/callback?state=a&code=b"] {
        let asked =
            with(request(Method::GET, path), &[("host", "evil.example"), ("x-forwarded-proto", "http")]);
        let answer = app.send_from(0, BALANCER, asked).await;
        if path.starts_with("//") {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(answer.header(header::LOCATION), format!("{PUBLIC_URL}{path}"));
    }
    for path in ["/device", "/device/sign-out"] {
        let form = with(post(path, &[("intent", "lookup")]), &[("x-forwarded-proto", "http")]);
        let answer = app.send_from(0, BALANCER, form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(text(&answer, "h1").unwrap(), "This connection is not private");
    }
    let unsaid = app.send_from(0, BALANCER, request(Method::GET, "/device")).await;
    assert_eq!(unsaid.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(unsaid.text.contains("network.trusted_proxies"), "{}", unsaid.text);
}

/// SEC-13: a balancer's health check needs no TLS, and a service on the loopback none at all.
#[tokio::test]
async fn health_checks_and_the_loopback_need_no_tls() {
    let app = TestApp::new().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(app.send_from(0, STRANGER, request(Method::GET, path)).await.status, StatusCode::OK);
    }
    let settings = Box::new(|settings: &mut device_grant_domain::Settings| {
        settings.public_url = "http://127.0.0.1:8080".parse().unwrap();
    });
    let local = TestApp::with(Options { settings, ..Options::default() }).await;
    assert_eq!(local.send_from(0, "127.0.0.1:4711", start()).await.status, StatusCode::OK);
}

/// Whoever comes through a proxy learns nothing of the pool, the store and the keys, but the state; a balancer's own check,
/// which nobody has passed on, learns all.
#[tokio::test]
async fn reasons_are_not_for_whoever_comes_through_a_proxy() {
    let app = TestApp::new().await;
    app.health.note_store(Err(StoreProblem::Missing { table: "DeviceGrant".to_owned() }));
    let ask = || request(Method::GET, "/readyz");
    let own = app.send_from(0, BALANCER, ask()).await.json();
    assert_eq!(own["reasons"].as_array().unwrap().len(), 1);
    let passed_on = [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=198.51.100.1"),
    ];
    for header in passed_on {
        let answer = app.send_from(0, BALANCER, with(ask(), &[header])).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({"status": "degraded"})),
            "{header:?}"
        );
    }
    app.health.drain();
    let answer = app.send_from(0, BALANCER, with(ask(), &passed_on)).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (503, json!({"status": "not ready"})));
}

/// SEC-11: forged forwarding headers of a stranger move nothing: limits count the peer.
#[tokio::test]
async fn a_stranger_cannot_choose_the_network_that_is_counted() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| {
            settings.public_url = "http://127.0.0.1:8080".parse().unwrap();
            settings.start_limits.per_network = 3;
        }),
        ..Options::default()
    })
    .await;
    let mut refused = 0;
    for n in 0..10 {
        let address = format!("198.51.100.{n}");
        let forged = [
            ("x-forwarded-for", address.as_str()),
            ("forwarded", "for=198.51.100.77"),
            ("x-real-ip", &address),
        ];
        let answer = app.send_from(0, STRANGER, with(start(), &forged)).await;
        refused += u32::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 7);
    // Through the proxy the right-most hop counts, not what the device wrote before it.
    for n in 0..3 {
        let hops = format!("198.51.100.{n}, 192.0.2.50");
        let answer = app.send_from(0, BALANCER, with(start(), &[("x-forwarded-for", &hops)])).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let fourth = with(start(), &[("x-forwarded-for", "198.51.100.9, 192.0.2.50")]);
    assert_eq!(app.send_from(0, BALANCER, fourth).await.status, StatusCode::TOO_MANY_REQUESTS);
}

/// HI-10: no host, two hosts, or something that is none: 400; HTTP/1.0 needs none.
#[tokio::test]
async fn exactly_one_host_is_wanted() {
    let app = TestApp::new().await;
    let secure = [("x-forwarded-proto", "https")];
    for hosts in [
        &["a.example", "a.example"][..],
        &["a.example", "evil.example"],
        &[""],
        &["a b"],
        &["user@a.example"],
        &["a.example:port"],
        &["/etc"],
    ] {
        let mut asked = with(start(), &secure);
        for host in hosts {
            asked.headers_mut().append(header::HOST, host.parse().unwrap());
        }
        let answer = app.send_from(0, BALANCER, asked).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{hosts:?}");
        assert!(answer.text.contains("Host"), "{hosts:?}: {}", answer.text);
    }
    let mut old = with(start(), &secure);
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(app.send_from(0, BALANCER, old).await.status, StatusCode::OK);
}

/// SEC-12: whatever host a request names, no answer repeats it: not in links, redirects, cookies or metadata.
#[tokio::test]
async fn the_host_decides_nothing() {
    let app = TestApp::new().await;
    let paths = ["/", "/device", "/device/go", "/device/done", "/callback", "/nowhere", "/livez", "/readyz"];
    let metadata = "/.well-known/oauth-authorization-server";
    let gets = paths.iter().chain([&metadata]).map(|path| request(Method::GET, path));
    let posts = BACK_CHANNEL.iter().map(|path| post(path, &[("client_id", TV)]));
    for asked in gets.chain(posts).chain([post("/device", &[]), post("/device/sign-out", &[])]) {
        let path = asked.uri().to_string();
        let evil = [("host", "evil.example"), ("x-forwarded-host", "evil.example")];
        let answer = app.send_to(0, with(asked, &evil)).await;
        assert!(!answer.text.contains("evil.example"), "{path}: {}", answer.text);
        for value in answer.headers.values() {
            assert!(!value.to_str().unwrap().contains("evil"), "{path}: {value:?}");
        }
    }
}

/// SEC-01: every answer over https asks for https from then on, errors too; over plain http the header would be a lie.
#[tokio::test]
async fn strict_transport_is_asked_for_over_tls_only() {
    let app = TestApp::new().await;
    let local = TestApp::with(Options {
        settings: Box::new(|settings| settings.public_url = "http://127.0.0.1:8080".parse().unwrap()),
        ..Options::default()
    })
    .await;
    for path in ["/", "/device", "/callback", "/nowhere", "/token", "/livez", "/device/assets/style.css"] {
        let secure = app.send(request(Method::GET, path)).await;
        assert!(secure.header(header::STRICT_TRANSPORT_SECURITY).starts_with("max-age="), "{path}");
        let plain = local.send_from(0, "127.0.0.1:4711", request(Method::GET, path)).await;
        assert!(!plain.headers.contains_key(header::STRICT_TRANSPORT_SECURITY), "{path}");
        let redirect = app.send_from(0, STRANGER, request(Method::GET, path)).await;
        assert!(!redirect.headers.contains_key(header::STRICT_TRANSPORT_SECURITY), "{path} over plain http");
    }
}

/// SEC-10: nobody's script reads an answer: no preflight is granted anywhere.
#[tokio::test]
async fn no_other_origin_may_read_anything() {
    let app = TestApp::new().await;
    for path in ["/device", "/callback", "/token", "/revoke", "/device_authorization"] {
        for method in [Method::OPTIONS, Method::GET, Method::POST] {
            let asked = with(
                request(method, path),
                &[("origin", "https://evil.example"), ("access-control-request-method", "POST")],
            );
            let answer = app.send(asked).await;
            let cors = answer.headers.keys().find(|name| name.as_str().starts_with("access-control"));
            assert_eq!(cors, None, "{path}");
        }
    }
}
