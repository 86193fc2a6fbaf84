use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use device_grant_domain::codes::CodeFormat;
use device_grant_protocol::GRANT_TYPE_DEVICE_CODE;
use device_grant_testkit::Call;
use device_grant_web::WebConfig;
use serde_json::Value;

use super::app::*;
use super::browser::{Browser, field, outcome, text};

/// The original's request: everything in the query as it stands, no body, no `Content-Type`.
fn sample(query: &str) -> Request<Body> {
    Request::post(format!("/token?{query}"))
        .header(header::HOST, "login.example.com")
        .header(header::USER_AGENT, "python-requests/2.31.0")
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "gzip, deflate")
        .header(header::CONNECTION, "Keep-Alive")
        .header(header::CONTENT_LENGTH, "0")
        .body(Body::empty())
        .unwrap()
}

fn sample_poll(client: &str, codes: &Codes) -> Request<Body> {
    let Codes { device_code, .. } = codes;
    sample(&format!("client_id={client}&device_code={device_code}&grant_type={GRANT_TYPE_DEVICE_CODE}"))
}

async fn poll_sample_way(app: &TestApp, codes: &Codes) -> Answer {
    app.send(sample_poll(TV, codes)).await
}

fn switched_off() -> Options {
    Options { web: Box::new(|web: &mut WebConfig| web.sample_way = false), ..Options::default() }
}

/// LG-01: the original's start, byte for byte, is answered in its form: 64 and 8 characters, lifetimes, headers.
#[tokio::test]
async fn the_samples_start_is_answered_as_the_sample_does() {
    let app = TestApp::with(Options {
        settings: Box::new(|settings| settings.user_code = CodeFormat::user_code("#B", 8, false).unwrap()),
        ..Options::default()
    })
    .await;
    for query in ["client_id=tv", "client_id=tv&scope=openid+profile", "client_id=tv&scope=openid%20email"] {
        let answer = app.send(sample(query)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        let body = answer.json();
        let device_code = body["device_code"].as_str().unwrap();
        assert!(
            device_code.len() == 64 && device_code.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{device_code}"
        );
        let user_code = body["user_code"].as_str().unwrap();
        assert!(user_code.len() == 8 && user_code.bytes().all(|b| b.is_ascii_alphanumeric()), "{user_code}");
        assert_eq!(body["verification_uri"], format!("{PUBLIC_URL}/device"));
        assert_eq!((body["interval"].as_u64(), body["expires_in"].as_u64()), (Some(5), Some(1800)));
    }
}

/// LG-01: without a scope the sample grants `openid`, and so do we.
#[tokio::test]
async fn no_scope_means_openid() {
    let app = TestApp::new().await;
    let codes = codes(&app.send(sample("client_id=tv")).await);
    Browser::alice(&app).approve(&codes).await;
    assert_eq!(poll_sample_way(&app, &codes).await.json()["scope"], "openid");
}

/// LG-02, TP-02, TP-03, TP-04, TP-06: the pace in the sample's form.
#[tokio::test]
async fn a_poll_in_the_query_keeps_the_pace() {
    let app = TestApp::new().await;
    let codes = codes(&app.send(sample("client_id=tv")).await);
    assert_eq!(poll_sample_way(&app, &codes).await.error(), "authorization_pending");
    let early = poll_sample_way(&app, &codes).await;
    assert_eq!((early.status, early.error().as_str()), (StatusCode::BAD_REQUEST, "slow_down"));
    assert_eq!((early.json()["interval"].as_u64(), early.header(header::RETRY_AFTER)), (Some(10), "10"));
    app.advance(5);
    assert_eq!(poll_sample_way(&app, &codes).await.error(), "slow_down");
    app.advance(15);
    assert_eq!(poll_sample_way(&app, &codes).await.error(), "authorization_pending");
}

/// LG-02, TP-07, TP-12, TP-14: the tokens in the sample's form, once.
#[tokio::test]
async fn a_poll_in_the_query_fetches_the_tokens_once() {
    let app = TestApp::new().await;
    let codes = codes(&app.send(sample("client_id=tv&scope=openid")).await);
    poll_sample_way(&app, &codes).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let answer = poll_sample_way(&app, &codes).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(
        (answer.header(header::CACHE_CONTROL), answer.header(header::PRAGMA)),
        ("no-store", "no-cache")
    );
    let body = answer.json();
    assert!(body["access_token"].is_string() && body["refresh_token"].is_string(), "{body}");
    assert!(
        body["expires_in"].is_u64() && body["token_type"] == "Bearer" && body.get("scope").is_none(),
        "{body}"
    );
    assert_eq!(poll_sample_way(&app, &codes).await.error(), "invalid_grant");
}

/// LG-02, TP-09, TP-10, TP-13, TP-16: denied, expired, another client's, and with more in it than there should be.
#[tokio::test]
async fn a_poll_in_the_query_hears_what_became_of_its_request() {
    let app = TestApp::new().await;
    let (denied, open) = (app.start(TV).await, app.start(TV).await);
    Browser::alice(&app).deny(&denied).await;
    for _ in 0..2 {
        assert_eq!(poll_sample_way(&app, &denied).await.error(), "access_denied");
        app.advance(5);
    }
    for _ in 0..5 {
        assert_eq!(app.send(sample_poll(OTHER, &open)).await.error(), "invalid_grant");
    }
    let poll = sample_poll(TV, &open);
    let wider = format!("{}&scope=admin&resource=x", poll.uri().query().unwrap());
    assert_eq!(app.send(sample(&wider)).await.error(), "authorization_pending");
    app.advance(1800);
    assert_eq!(poll_sample_way(&app, &open).await.error(), "expired_token");
}

/// LG-02, TP-01: the grant is chosen by its exact URN in the query too.
#[tokio::test]
async fn a_poll_in_the_query_names_its_grant_exactly() {
    let app = TestApp::new().await;
    let Codes { device_code, .. } = app.start(TV).await;
    let poll = |grant: &str| sample(&format!("client_id=tv&device_code={device_code}&grant_type={grant}"));
    for grant in ["device_code", "password", "urn:ietf:params:oauth:grant-type:DEVICE_CODE"] {
        assert_eq!(app.send(poll(grant)).await.error(), "unsupported_grant_type", "{grant}");
    }
    assert_eq!(app.send(poll("")).await.error(), "invalid_request");
    let encoded = GRANT_TYPE_DEVICE_CODE.replace(':', "%3A");
    assert_eq!(app.send(poll(&encoded)).await.error(), "authorization_pending");
    let no_code = sample(&format!("client_id=tv&grant_type={GRANT_TYPE_DEVICE_CODE}"));
    assert_eq!(app.send(no_code).await.error(), "invalid_request");
}

/// LG-03: a confidential client adds Basic, whose user is the `client_id`; a public one needs its id alone.
#[tokio::test]
async fn confidential_clients_add_basic() {
    let app = TestApp::new().await;
    let start = |client: &str| sample(&format!("client_id={client}"));
    assert_eq!(app.send(start(TV)).await.status, StatusCode::OK);
    for client in [CONSOLE, SPEAKER] {
        let started = app.send(with_basic(start(client), client, SECRET)).await;
        assert_eq!(started.status, StatusCode::OK, "{}", started.text);
        let codes = codes(&started);
        let refused = [
            start(client),
            with_basic(start(client), client, "wrong"),
            with_basic(start(TV), client, SECRET),
            sample_poll(client, &codes),
            with_basic(sample_poll(client, &codes), client, "wrong"),
            with_basic(sample_poll(TV, &codes), client, SECRET),
        ];
        for request in refused {
            let answer = app.send(request).await;
            assert_eq!(
                (answer.status.as_u16(), answer.error().as_str()),
                (401, "invalid_client"),
                "{client}"
            );
            assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
        }
        let poll = with_basic(sample_poll(client, &codes), client, SECRET);
        assert_eq!(app.send(poll).await.error(), "authorization_pending");
    }
    assert_eq!(app.send(with_basic(start(TV), TV, "")).await.error(), "invalid_client");
}

/// LG-03: the sample's way from start to tokens for a client with a pool client of its own.
#[tokio::test]
async fn a_confidential_client_goes_the_whole_way() {
    let app = TestApp::new().await;
    let codes = codes(&app.send(with_basic(sample("client_id=console"), CONSOLE, SECRET)).await);
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let answer = app.send(with_basic(sample_poll(CONSOLE, &codes), CONSOLE, SECRET)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(app.dev_pool().is_live(answer.json()["refresh_token"].as_str().unwrap()));
}

/// What one kind of poll hears in each stage of a request's life.
async fn life_of_a_request(app: &TestApp, poll: impl Fn(&Codes) -> Request<Body>) -> Vec<Answer> {
    let (first, second, third) = (app.start(TV).await, app.start(TV).await, app.start(TV).await);
    let unknown = Codes { device_code: "never-issued".to_owned(), ..first.clone() };
    let mut heard = Vec::new();
    for codes in [&unknown, &first, &first] {
        heard.push(app.send(poll(codes)).await);
    }
    let mut alice = Browser::alice(app);
    alice.deny(&second).await;
    heard.push(app.send(poll(&second)).await);
    alice.approve(&third).await;
    for _ in 0..2 {
        heard.push(app.send(poll(&third)).await);
    }
    app.advance(1800);
    heard.push(app.send(poll(&first)).await);
    heard
}

/// The same answer: tokens are never the same twice, everything else is.
fn comparable(answer: &Answer) -> (StatusCode, HeaderMap, Value) {
    let (mut headers, mut body) = (answer.headers.clone(), answer.json());
    headers.remove(header::CONTENT_LENGTH);
    for (name, value) in body.as_object_mut().unwrap() {
        if name.ends_with("_token") || name.contains("_code") || name.contains("uri") {
            *value = Value::from("something");
        }
    }
    (answer.status, headers, body)
}

/// LG-04: in each stage the sample's form hears exactly what the standard's does: JSON, `access_denied`, `token_type`.
#[tokio::test]
async fn both_forms_hear_the_same() {
    let app = TestApp::new().await;
    let standard = life_of_a_request(&app, |codes| post("/token", &poll_form(TV, codes))).await;
    let sample_way = life_of_a_request(&app, |codes| sample_poll(TV, codes)).await;
    let told: Vec<String> = standard
        .iter()
        .map(|answer| if answer.status == StatusCode::OK { "tokens".to_owned() } else { answer.error() })
        .collect();
    let life = [
        "invalid_grant",
        "authorization_pending",
        "slow_down",
        "access_denied",
        "tokens",
        "invalid_grant",
        "expired_token",
    ];
    assert_eq!(told, life);
    for (standard, sample_way) in standard.iter().zip(&sample_way) {
        assert_eq!(comparable(standard), comparable(sample_way));
    }
    let started = app.post("/device_authorization", &[("client_id", TV)]).await;
    assert_eq!(comparable(&app.send(sample("client_id=tv")).await), comparable(&started));
    for query in ["client_id=nobody", "client_id=tv&scope=admin", "scope=openid", "client_id=barred"] {
        let standard = app.send(raw_post("/device_authorization", query)).await;
        standard.error();
        assert_eq!(comparable(&app.send(sample(query)).await), comparable(&standard), "{query}");
    }
}

/// LG-04: the link in an old QR code fills the field in and decides nothing.
#[tokio::test]
async fn an_old_link_only_fills_the_code_in() {
    let app = TestApp::new().await;
    let codes = codes(&app.send(sample("client_id=tv")).await);
    let bare = codes.user_code.replace('-', "");
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    for (link, code) in
        [(format!("code={bare}&authorize=true"), &bare), (format!("code={bare}&authorize=false"), &bare)]
    {
        let page = alice.land(&format!("/device?{link}")).await;
        assert_eq!(text(&page, "#heading").unwrap(), "Check the code");
        assert_eq!(&field(&page, "#continue", "user_code"), code);
        assert_eq!(poll_sample_way(&app, &codes).await.error(), "authorization_pending");
        app.advance(5);
    }
    assert_eq!(app.store.count(Call::Transition), 0);
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
}

/// LG-05: switched on, parameters may stand in the query or in the body, each in one place; only a request with
/// neither `grant_type` nor `device_code` starts.
#[tokio::test]
async fn parameters_stand_in_one_place_or_the_other() {
    let app = TestApp::new().await;
    let starts = [
        sample("client_id=tv"),
        raw_post("/token", "client_id=tv"),
        raw_post("/token?client_id=tv", "scope=openid"),
        raw_post("/token?scope=openid", "client_id=tv"),
    ];
    for request in starts {
        assert_eq!(app.send(request).await.status, StatusCode::OK);
    }
    let Codes { device_code, .. } = app.start(TV).await;
    let split = raw_post(
        &format!("/token?client_id=tv&grant_type={GRANT_TYPE_DEVICE_CODE}"),
        format!("device_code={device_code}"),
    );
    assert_eq!(app.send(split).await.error(), "authorization_pending");
    let issued = app.store.count(Call::Create);
    let refused = [
        raw_post("/token?client_id=tv", "client_id=tv"),
        raw_post("/token?client_id=tv&scope=openid", "scope="),
        sample(&format!("client_id=tv&device_code={device_code}")),
        raw_post("/token", format!("client_id=tv&device_code={device_code}")),
        sample("client_id=tv&device_code="),
        sample("client_id=tv&grant_type="),
        raw_post("/token?client_id=tv", "grant_type="),
        raw_post("/token?client_id=tv", "device_code"),
        sample(""),
    ];
    for request in refused {
        let uri = request.uri().clone();
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{uri}");
    }
    assert_eq!(app.store.count(Call::Create), issued, "nothing was started");
}

/// LG-05: switched off, a `/token` without `grant_type` is `invalid_request`, starts nothing, and the query is not read.
#[tokio::test]
async fn the_samples_way_can_be_switched_off() {
    let app = TestApp::with(switched_off()).await;
    let codes = app.start(TV).await;
    let issued = app.store.count(Call::Create);
    let refused = [sample("client_id=tv"), raw_post("/token", "client_id=tv"), sample_poll(TV, &codes)];
    for request in refused {
        let uri = request.uri().clone();
        assert_eq!(app.send(request).await.error(), "invalid_request", "{uri}");
    }
    let Codes { device_code, .. } = &codes;
    let split = format!("grant_type={GRANT_TYPE_DEVICE_CODE}&device_code={device_code}");
    assert_eq!(app.send(raw_post("/token?client_id=tv", split)).await.error(), "invalid_request");
    assert_eq!(app.store.count(Call::Create), issued);
    assert_eq!(
        app.poll(TV, &codes).await.error(),
        "authorization_pending",
        "the standard's way is as it was"
    );
}

/// LG-05: the standard's endpoint reads no query, in neither mode.
#[tokio::test]
async fn the_standard_endpoint_reads_its_body_only() {
    for options in [Options::default(), switched_off()] {
        let app = TestApp::with(options).await;
        let in_query = Request::post("/device_authorization?client_id=tv").body(Body::empty()).unwrap();
        assert_eq!(app.send(in_query).await.error(), "invalid_request");
        assert_eq!(app.store.count(Call::Create), 0);
    }
}
