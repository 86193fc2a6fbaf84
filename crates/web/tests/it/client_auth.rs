use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use device_grant_domain::client::{ClientAuth, Clients, DeviceClient};
use device_grant_domain::pool::UserPool;
use device_grant_domain::{DeviceGrant, Ports};
use device_grant_protocol::{ClientSecret, GRANT_TYPE_DEVICE_CODE};
use device_grant_testkit::Call;
use device_grant_web::{WebConfig, router};

use super::app::*;
use super::browser::{Browser, outcome};

/// An id with everything that form-encoding changes.
const ODD: &str = "1PpG/Q 1";
/// An id whose dash needs no escape.
const DASHED: &str = "set-top-box";

/// One harmless call of each endpoint. Whoever is authenticated hears 200 or `invalid_grant`.
const CALLS: [(&str, &[(&str, &str)]); 4] = [
    ("/device_authorization", &[]),
    ("/token", &[("grant_type", GRANT_TYPE_DEVICE_CODE), ("device_code", "never issued")]),
    ("/token", &[("grant_type", "refresh_token"), ("refresh_token", "never issued")]),
    ("/revoke", &[("token", "never issued")]),
];

/// Sends each of [`CALLS`] with `credentials` in the form, after `dress` has put its own into the header.
async fn everywhere(
    app: &TestApp,
    credentials: &[(&str, &str)],
    dress: impl Fn(Request<Body>) -> Request<Body>,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (path, form) in CALLS {
        answers.push(app.send(dress(post(path, &[form, credentials].concat()))).await);
    }
    answers
}

#[track_caller]
fn assert_authenticated(answers: &[Answer], why: &str) {
    for answer in answers {
        assert!(answer.status == StatusCode::OK || answer.error() == "invalid_grant", "{why}: {answer:?}");
    }
}

/// CA-05 holds for every refusal: a 401 brings a challenge.
#[track_caller]
fn assert_invalid_client(answers: &[Answer], why: &str) {
    for answer in answers {
        let heard = (answer.status, answer.error());
        assert_eq!(heard, (StatusCode::UNAUTHORIZED, "invalid_client".to_owned()), "{why}");
        assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Basic realm=\""), "{why}");
    }
}

#[track_caller]
fn assert_invalid_request(answers: &[Answer], why: &str) {
    for answer in answers {
        let heard = (answer.status, answer.error());
        assert_eq!(heard, (StatusCode::BAD_REQUEST, "invalid_request".to_owned()), "{why}");
    }
}

fn authorization(value: &[u8]) -> impl Fn(Request<Body>) -> Request<Body> {
    let value = HeaderValue::from_bytes(value).unwrap();
    move |mut request| {
        request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        request
    }
}

fn basic(id: &str, secret: &str) -> impl Fn(Request<Body>) -> Request<Body> {
    move |request| with_basic(request, id, secret)
}

fn plain(request: Request<Body>) -> Request<Body> {
    request
}

/// The default clients, and two more like the speaker under odd names.
async fn app_with_odd_names() -> TestApp {
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        let speaker = clients.iter().find(|client| client.id.as_str() == SPEAKER).unwrap().clone();
        for id in [ODD, DASHED] {
            clients.push(DeviceClient { id: id.parse().unwrap(), ..speaker.clone() });
        }
    });
    TestApp::with(Options { clients, ..Options::default() }).await
}

/// Puts one more replica in front of the same store and keys, with its own way to the pool and its own clients; returns
/// its number.
pub fn add_replica(app: &mut TestApp, pool: Arc<dyn UserPool>, clients: Arc<Clients>) -> usize {
    let first = &app.services[0];
    let (clock, entropy) = (first.clock.clone(), first.entropy.clone());
    let client_keys = client_keys(&clients, &clock, &entropy);
    let (store, records) = (first.store.clone(), first.records.clone());
    let ports = Ports { store, records, pool, client_keys, clock, entropy, observer: Arc::new(()) };
    let service = DeviceGrant::new(ports, first.keyring.clone(), clients, first.settings.clone());
    app.replicas.push(router(Arc::new(service), app.health.clone(), app.load.clone(), web_config()));
    app.replicas.len() - 1
}

/// The number of one more replica, whose operator has changed the clients.
fn replica_after(app: &mut TestApp, change: impl Fn(&mut Vec<DeviceClient>)) -> usize {
    let mut clients: Vec<DeviceClient> =
        app.services[0].clients.all().iter().map(|client| DeviceClient::clone(client)).collect();
    change(&mut clients);
    let pool = app.services[0].pool.clone();
    add_replica(app, pool, Arc::new(clients.into_iter().collect()))
}

/// CA-01: every client that has a secret may show it by Basic, whatever the case of the scheme's name.
#[tokio::test]
async fn basic_works_for_every_client_with_a_secret() {
    let app = TestApp::new().await;
    for client in [SPEAKER, CONSOLE] {
        for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
            let halves = BASE64_STANDARD.encode(format!("{client}:s%3A%2B%2F%3D%25%C3%BC"));
            let answers = everywhere(&app, &[], authorization(format!("{scheme} {halves}").as_bytes())).await;
            assert_authenticated(&answers, scheme);
        }
    }
}

/// CA-02: base64 first, then the first colon, then form-decoding of each half; needless escapes are undone.
#[tokio::test]
async fn basic_is_form_decoded_after_it_is_split() {
    let app = app_with_odd_names().await;
    let sent = [
        "1PpG%2FQ+1:s%3A%2B%2F%3D%25%C3%BC",
        "1PpG%2FQ%201:%73%3a%2b%2f%3d%25%c3%bc",
        "set%2Dtop%2Dbox:s%3A%2B%2F%3D%25%C3%BC",
        "set-top-box:s%3A%2B%2F%3D%25%C3%BC",
    ];
    for halves in sent {
        let answers = everywhere(&app, &[], |request| with_raw_basic(request, halves)).await;
        assert_authenticated(&answers, halves);
    }
}

/// CA-02: values that were never form-encoded are tried as they are.
#[tokio::test]
async fn basic_as_it_stands_is_the_second_reading() {
    let app = app_with_odd_names().await;
    for id in [ODD, DASHED, SPEAKER] {
        let halves = format!("{id}:{SECRET}");
        assert_authenticated(
            &everywhere(&app, &[], |request| with_raw_basic(request, &halves)).await,
            &halves,
        );
    }
}

/// CA-03, CA-05: credentials that cannot be read are a failed authentication.
#[tokio::test]
async fn broken_credentials_are_refused() {
    let app = TestApp::new().await;
    let encoded = |halves: &[u8]| format!("Basic {}", BASE64_STANDARD.encode(halves)).into_bytes();
    let broken = [
        encoded(b"no colon"),
        encoded(b":s%3A%2B%2F%3D%25%C3%BC"),
        encoded(b"speaker:\xff\xfe"),
        encoded(b"speaker:%FF"),
        encoded(b"speaker:%G1"),
        encoded(b"speaker:%"),
        b"Basic !!!".to_vec(),
        b"Basic c3Bl*".to_vec(),
        b"Basic".to_vec(),
        b"Basic ".to_vec(),
        b"".to_vec(),
        b"\xff\xfe".to_vec(),
        b"Bearer mF_9.B5f-4.1JqM".to_vec(),
        b"Digest username=\"speaker\", realm=\"device-grant\"".to_vec(),
    ];
    for value in broken {
        let why = String::from_utf8_lossy(&value).into_owned();
        assert_invalid_client(&everywhere(&app, &[], authorization(&value)).await, &why);
        // Nor does naming a public client in the body help: the header is what counts.
        assert_invalid_client(&everywhere(&app, &[("client_id", TV)], authorization(&value)).await, &why);
    }
}

/// CA-04: a secret or an assertion in the URL is refused, also where the sample's way reads the query, and also when
/// it stands in the body as well.
#[tokio::test]
async fn secrets_in_the_url_are_refused() {
    for sample_way in [true, false] {
        let web = Box::new(move |web: &mut WebConfig| web.sample_way = sample_way);
        let app = TestApp::with(Options { web, ..Options::default() }).await;
        let id = ("client_id", SPEAKER);
        assert_authenticated(&everywhere(&app, &[id, ("client_secret", SECRET)], plain).await, "in the body");
        let issued = app.store.count(Call::Create);
        for in_url in [("client_secret", SECRET), ("client_secret", ""), ("client_assertion", "e30.e30.")] {
            let query = encode(&[in_url]);
            let to_url = |mut request: Request<Body>| {
                *request.uri_mut() = format!("{}?{query}", request.uri().path()).parse().unwrap();
                request
            };
            assert_invalid_request(&everywhere(&app, &[id], to_url).await, &query);
            let both = everywhere(&app, &[id, ("client_secret", SECRET)], to_url).await;
            assert_invalid_request(&both, &query);
        }
        let start = request_with_query(&[id, ("client_secret", SECRET)]);
        assert_invalid_request(&[app.send(start).await], "the sample's start");
        assert_eq!(app.store.count(Call::Create), issued, "nothing was issued");
    }
}

fn request_with_query(query: &[(&str, &str)]) -> Request<Body> {
    Request::post(format!("/token?{}", encode(query))).body(Body::empty()).unwrap()
}

/// CA-05: what failed is 401 with a challenge, by header or by body; the words tell nobody whether the client exists.
#[tokio::test]
async fn a_failed_try_is_challenged() {
    let app = TestApp::new().await;
    let by_header = everywhere(&app, &[], basic(SPEAKER, "wrong")).await;
    assert_invalid_client(&by_header, "a wrong Basic secret");
    let by_body = everywhere(&app, &[("client_id", SPEAKER), ("client_secret", "wrong")], plain).await;
    assert_invalid_client(&by_body, "a wrong secret in the body");
    let unknown = everywhere(&app, &[], basic("nobody", SECRET)).await;
    for (wrong, unknown) in by_header.iter().zip(&unknown) {
        assert_eq!((&wrong.text, &wrong.headers), (&unknown.text, &unknown.headers));
    }
}

/// CA-06: two ways of authenticating at once are refused, though each alone be right; nothing is issued.
#[tokio::test]
async fn two_ways_at_once_are_refused() {
    let app = TestApp::new().await;
    let assertion = [
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", "e30.e30."),
    ];
    let secret = ("client_secret", SECRET);
    let twice = everywhere(&app, &[("client_id", SPEAKER), secret], basic(SPEAKER, SECRET)).await;
    assert_invalid_request(&twice, "Basic and client_secret");
    let with_jwt = everywhere(&app, &assertion, basic(SPEAKER, SECRET)).await;
    assert_invalid_client(&with_jwt, "Basic and an assertion");
    let form = [("client_id", SPEAKER), secret, assertion[0], assertion[1]];
    assert_invalid_client(&everywhere(&app, &form, plain).await, "client_secret and an assertion");
    let form = [assertion[0], assertion[1], assertion[1]];
    assert_invalid_request(&everywhere(&app, &form, plain).await, "two assertions");
    assert_eq!(app.store.count(Call::Create), 0);
}

/// CA-07: a `client_id` beside Basic must name the same client.
#[tokio::test]
async fn a_client_id_beside_basic_names_the_same_client() {
    let app = TestApp::new().await;
    let same = everywhere(&app, &[("client_id", CONSOLE)], basic(CONSOLE, SECRET)).await;
    assert_authenticated(&same, "the same client");
    let issued = app.store.count(Call::Create);
    for other in [SPEAKER, TV, "nobody", "Console", "console "] {
        let different = everywhere(&app, &[("client_id", other)], basic(CONSOLE, SECRET)).await;
        assert_invalid_client(&different, other);
    }
    assert_eq!(app.store.count(Call::Create), issued, "nothing was issued for either");
}

/// CA-08: each client proves itself in the way that is registered for it, and in no other.
#[tokio::test]
async fn the_registered_method_is_enforced() {
    let app = TestApp::new().await;
    let assertion = [
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", "eyJhbGciOiJub25lIn0.e30."),
    ];
    for client in [SPEAKER, CONSOLE] {
        assert_invalid_client(&everywhere(&app, &[("client_id", client)], plain).await, "no credentials");
        let empty = everywhere(&app, &[("client_id", client), ("client_secret", "")], plain).await;
        assert_invalid_client(&empty, "an empty secret");
        assert_invalid_client(&everywhere(&app, &[], basic(client, "")).await, "an empty Basic secret");
    }
    let by_post = everywhere(&app, &[("client_id", CONSOLE), ("client_secret", SECRET)], plain).await;
    assert_invalid_client(&by_post, "a secret in the body of a client that is registered for Basic");
    for secret in [SECRET, "", "anything"] {
        assert_invalid_client(&everywhere(&app, &[], basic(TV, secret)).await, "Basic of a public client");
    }
    let by_post = everywhere(&app, &[("client_id", TV), ("client_secret", SECRET)], plain).await;
    assert_invalid_client(&by_post, "a secret of a public client");
    for client in [TV, SPEAKER, CONSOLE] {
        let form = [("client_id", client), assertion[0], assertion[1]];
        assert_invalid_client(&everywhere(&app, &form, plain).await, "an assertion of a client without keys");
    }
    assert_authenticated(&everywhere(&app, &[("client_id", TV)], plain).await, "a public client");
}

/// CA-05: a client whose secret was changed is known by the new one only.
#[tokio::test]
async fn an_old_secret_is_a_wrong_secret() {
    let mut app = TestApp::new().await;
    let after = replica_after(&mut app, |clients| {
        for client in clients.iter_mut().filter(|client| client.id.as_str() == SPEAKER) {
            client.auth = ClientAuth::secret(&ClientSecret::new("fresh"), true);
        }
    });
    let old = app.send_to(after, with_basic(post("/device_authorization", &[]), SPEAKER, SECRET)).await;
    assert_invalid_client(&[old], "the old secret");
    let new = app.send_to(after, with_basic(post("/device_authorization", &[]), SPEAKER, "fresh")).await;
    assert_eq!(new.status, StatusCode::OK, "{}", new.text);
}

/// TP-19: before the client is known nothing of the request is read or written: bad secrets at speed cost the real
/// client nothing.
#[tokio::test]
async fn the_client_is_authenticated_before_its_request_is_touched() {
    let app = TestApp::new().await;
    let codes = app.start_confidential(SPEAKER).await;
    let (loads, slowed) = (app.store.count(Call::Load), app.store.count(Call::SlowDown));
    for _ in 0..20 {
        let bad = with_basic(post("/token", &poll_form(SPEAKER, &codes)), SPEAKER, "wrong");
        assert_invalid_client(&[app.send(bad).await], "a bad secret");
    }
    assert_eq!((app.store.count(Call::Load), app.store.count(Call::SlowDown)), (loads, slowed));
    assert_eq!(app.poll_confidential(SPEAKER, &codes).await.error(), "authorization_pending");
    app.advance(5);
    assert_eq!(app.poll_confidential(SPEAKER, &codes).await.error(), "authorization_pending");
}

/// TP-19: a client that was removed between the approval and the poll gets nothing; the tokens stay where they are.
#[tokio::test]
async fn a_client_disabled_meanwhile_is_refused() {
    let mut app = TestApp::new().await;
    let codes = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let without = replica_after(&mut app, |clients| clients.retain(|client| client.id.as_str() != TV));
    assert_invalid_client(&[app.poll_on(without, TV, &codes).await], "a removed client");
    let barred = replica_after(&mut app, |clients| {
        for client in clients.iter_mut().filter(|client| client.id.as_str() == TV) {
            client.grants.device_code = false;
        }
    });
    assert_eq!(app.poll_on(barred, TV, &codes).await.error(), "unauthorized_client");
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK, "neither poll consumed anything");
}

/// TP-19: a scope withdrawn between the approval and the poll is not handed out, whether the device had asked for it
/// or got it by default.
#[tokio::test]
async fn a_scope_withdrawn_meanwhile_is_not_handed_out() {
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        for client in clients {
            client.default_scope = "openid profile".parse().unwrap();
        }
    });
    let mut app = TestApp::with(Options { clients, ..Options::default() }).await;
    let narrowed = replica_after(&mut app, |clients| {
        for client in clients {
            client.scopes = "openid".parse().unwrap();
            client.default_scope = "openid".parse().unwrap();
        }
    });
    for scope in ["openid profile", ""] {
        let codes = app.start_with(&[("client_id", TV), ("scope", scope)]).await;
        assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
        let answer = app.poll_on(narrowed, TV, &codes).await;
        assert_eq!(answer.error(), "invalid_grant", "{scope:?}");
    }
    let codes = app.start_with(&[("client_id", TV), ("scope", "openid")]).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    assert_eq!(app.poll_on(narrowed, TV, &codes).await.status, StatusCode::OK, "what is left is handed out");
}
