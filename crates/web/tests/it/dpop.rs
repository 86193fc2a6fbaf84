use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, Method, Request, StatusCode, header};
use device_grant_dev_pool::DevPoolConfig;
use device_grant_domain::Clock;
use device_grant_domain::client::DeviceClient;
use device_grant_domain::dpop::Dpop;
use device_grant_protocol::GRANT_TYPE_DEVICE_CODE;
use device_grant_testkit::{Call, StoreFault};
use serde_json::{Value, json};

use super::app::*;
use super::browser::{Browser, outcome};
use super::signer::{Signer, with};

mod nonces;
mod proofs;
mod refreshes;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const START: &str = "/device_authorization";

static DRAWN: AtomicU32 = AtomicU32::new(0);

/// [`TV`], [`SPEAKER`] and [`CONSOLE`] may prove a key, [`OTHER`] must; the pool rotates refresh tokens.
fn with_dpop() -> Options {
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        for client in clients {
            client.dpop = match client.id.as_str() {
                TV | SPEAKER | CONSOLE => Dpop::Optional,
                OTHER => Dpop::Required,
                _ => Dpop::Off,
            };
        }
    });
    let pool = Box::new(|pool: &mut DevPoolConfig| pool.rotate_refresh_tokens = true);
    Options { clients, pool, ..Options::default() }
}

async fn app() -> TestApp {
    TestApp::with(with_dpop()).await
}

fn honest_header(signer: &Signer) -> Value {
    json!({ "typ": "dpop+jwt", "alg": signer.alg(), "jwk": signer.jwk() })
}

fn honest_claims(app: &TestApp, path: &str) -> Value {
    json!({
        "jti": format!("jti-{}", DRAWN.fetch_add(1, Ordering::Relaxed)),
        "htm": "POST",
        "htu": format!("{PUBLIC_URL}{path}"),
        "iat": app.clock.now().as_secs(),
    })
}

/// A proof for a POST to `path`, with `change` over its claims.
fn proof(app: &TestApp, signer: &Signer, path: &str, change: &Value) -> String {
    signer.sign(&honest_header(signer), &with(honest_claims(app, path), change))
}

fn fresh(app: &TestApp, signer: &Signer, path: &str) -> String {
    proof(app, signer, path, &json!({}))
}

fn carrying(mut request: Request<Body>, proof: &str) -> Request<Body> {
    request.headers_mut().append(DPOP, proof.parse().unwrap());
    request
}

async fn start(app: &TestApp, client: &str, proof: &str) -> Answer {
    app.send(carrying(post(START, &[("client_id", client)]), proof)).await
}

async fn started(app: &TestApp, client: &str, signer: &Signer) -> Codes {
    let answer = start(app, client, &fresh(app, signer, START)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    codes(&answer)
}

async fn poll_on(app: &TestApp, replica: usize, (client, codes): (&str, &Codes), proof: &str) -> Answer {
    app.send_to(replica, carrying(post("/token", &poll_form(client, codes)), proof)).await
}

async fn poll(app: &TestApp, client: &str, codes: &Codes, signer: &Signer) -> Answer {
    poll_on(app, 0, (client, codes), &fresh(app, signer, "/token")).await
}

#[track_caller]
fn assert_refused(answer: &Answer, why: &str) {
    let heard = (answer.status, answer.error());
    assert_eq!(heard, (StatusCode::BAD_REQUEST, "invalid_dpop_proof".to_owned()), "{why}");
}

/// DP-01, DP-02, DP-09: the first request ties the device code; only fresh proofs of that key bring the tokens, which are
/// bearer tokens still.
#[tokio::test]
async fn a_device_code_is_tied_to_its_key() {
    for signer in Signer::of_each_kind() {
        let app = app().await;
        let codes = started(&app, TV, &signer).await;
        assert_eq!(poll(&app, TV, &codes, &signer).await.error(), "authorization_pending");
        assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
        let stranger = Signer::es256();
        for replica in [0, 1] {
            assert_eq!(app.poll_on(replica, TV, &codes).await.error(), "invalid_grant", "no proof");
            let foreign = fresh(&app, &stranger, "/token");
            assert_eq!(
                poll_on(&app, replica, (TV, &codes), &foreign).await.error(),
                "invalid_grant",
                "another key"
            );
        }
        let tokens = poll(&app, TV, &codes, &signer).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}: {}", signer.alg(), tokens.text);
        assert_eq!(tokens.json()["token_type"], "Bearer");
    }
}

/// DP-02: polls without the key leave the request as it was: not read again, not slowed, not marked.
#[tokio::test]
async fn a_stranger_does_not_disturb_a_tied_request() {
    let (app, signer, stranger) = (app().await, Signer::es256(), Signer::es256());
    let codes = started(&app, TV, &signer).await;
    let spent = app.store.count(Call::Spend);
    for _ in 0..30 {
        assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
        assert_eq!(poll(&app, TV, &codes, &stranger).await.error(), "invalid_grant");
    }
    let written =
        (app.store.count(Call::SlowDown), app.store.count(Call::Spend), app.store.count(Call::Transition));
    assert_eq!(written, (0, spent, 0), "nothing was written");
    assert_eq!(poll(&app, TV, &codes, &signer).await.error(), "authorization_pending");
    app.advance(5);
    assert_eq!(poll(&app, TV, &codes, &signer).await.error(), "authorization_pending");
}

/// DP-05, LG-01: in the sample's way a start is a POST to the token endpoint, and its proof says so.
#[tokio::test]
async fn the_samples_start_is_tied_too() {
    let (app, signer) = (app().await, Signer::es256());
    let start = |proof: &str| carrying(post("/token", &[("client_id", TV)]), proof);
    assert_refused(&app.send(start(&fresh(&app, &signer, START))).await, "made for the other endpoint");
    let answer = app.send(start(&fresh(&app, &signer, "/token"))).await;
    let codes = codes(&answer);
    assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant");
    assert_eq!(poll(&app, TV, &codes, &signer).await.error(), "authorization_pending");
}

/// DP-06, TP-18: while nobody can say whether a proof was used, a poll comes back and the rest is told to.
#[tokio::test]
async fn a_store_that_is_away_loses_no_login() {
    let (app, signer) = (app().await, Signer::es256());
    let codes = started(&app, TV, &signer).await;
    app.store.fail(Call::Spend, StoreFault::Before, u32::MAX);
    let polled = poll(&app, TV, &codes, &signer).await;
    assert_eq!((polled.error().as_str(), polled.header(header::RETRY_AFTER)), ("slow_down", "5"));
    assert_eq!(start(&app, TV, &fresh(&app, &signer, START)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    app.store.heal();
    assert_eq!(poll(&app, TV, &codes, &signer).await.error(), "authorization_pending");
}

/// DP-08: a client that must prove its key cannot do without at any step.
#[tokio::test]
async fn there_is_no_downgrade() {
    let (app, signer) = (app().await, Signer::es256());
    assert_refused(&app.post(START, &[("client_id", OTHER)]).await, "a start");
    assert_refused(&app.post("/token", &[("client_id", OTHER)]).await, "a start in the sample's way");
    let codes = started(&app, OTHER, &signer).await;
    assert_eq!(app.poll(OTHER, &codes).await.error(), "invalid_grant");
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    assert_eq!(app.poll(OTHER, &codes).await.error(), "invalid_grant");
    let tokens = poll(&app, OTHER, &codes, &signer).await.json();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", OTHER),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    assert_refused(&app.post("/token", &refresh).await, "a refresh");
    let answer = app.send(carrying(post("/token", &refresh), &fresh(&app, &signer, "/token"))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

/// DP-08: a request that began without a proof is tied to none; a proof that shows up at the poll must be good, and binds
/// the refresh token.
#[tokio::test]
async fn a_proof_may_show_up_at_the_poll() {
    let (app, signer) = (app().await, Signer::es256());
    let codes = app.start(TV).await;
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_refused(&poll_on(&app, 0, (TV, &codes), "no proof").await, "a broken one");
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let tokens = poll(&app, TV, &codes, &signer).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
    let token = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [("grant_type", "refresh_token"), ("client_id", TV), ("refresh_token", token.as_str())];
    assert_eq!(app.post("/token", &refresh).await.error(), "invalid_grant");
}

/// DP-08: a client that does not use proofs neither gains nor pays by sending one.
#[tokio::test]
async fn proofs_cost_nothing_where_they_are_off() {
    let app = TestApp::new().await;
    let signer = Signer::es256();
    for text in ["no proof", &fresh(&app, &signer, START)] {
        let answer = start(&app, TV, text).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let codes = codes(&answer);
        assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending", "it is not tied");
        assert_eq!(poll_on(&app, 1, (TV, &codes), text).await.error(), "authorization_pending");
    }
    assert_eq!(app.store.count(Call::Spend), 0);
}

/// DP-02, TP-12: who may fetch lost tokens again is the holder of the request's key, with a fresh proof; a request that is tied to
/// none has no such window.
#[tokio::test]
async fn lost_tokens_come_again_to_their_key_alone() {
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        for client in clients.iter_mut() {
            (client.dpop, client.redelivery) = (Dpop::Optional, Some(Duration::from_secs(30)));
        }
    });
    let app = TestApp::with(Options { clients, ..Options::default() }).await;
    let (signer, stranger) = (Signer::es256(), Signer::es256());
    let codes = started(&app, TV, &signer).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let fetched = fresh(&app, &signer, "/token");
    let first = poll_on(&app, 0, (TV, &codes), &fetched).await.json();
    assert_eq!(app.poll(TV, &codes).await.error(), "invalid_grant", "no proof");
    assert_eq!(poll(&app, TV, &codes, &stranger).await.error(), "invalid_grant", "another key");
    assert_refused(&poll_on(&app, 1, (TV, &codes), &fetched).await, "a proof that was used");
    let again = poll(&app, TV, &codes, &signer).await.json();
    assert_eq!(again["access_token"], first["access_token"]);

    let untied = app.start(TV).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&untied).await), "approved");
    assert_eq!(poll(&app, TV, &untied, &signer).await.status, StatusCode::OK);
    assert_eq!(poll(&app, TV, &untied, &signer).await.error(), "invalid_grant");
}

/// DP-02, RT-12: a tied code is given up by the holder of its key alone, with a proof for that endpoint which is good once.
#[tokio::test]
async fn a_tied_code_is_given_up_by_its_key_alone() {
    let (app, signer, stranger) = (app().await, Signer::es256(), Signer::es256());
    let codes = started(&app, TV, &signer).await;
    let form = [("client_id", TV), ("token", &codes.device_code), ("token_type_hint", "device_code")];
    let give_up = async |proof: &str| app.send(carrying(post("/revoke", &form), proof)).await;
    assert_eq!(app.post("/revoke", &form).await.status, StatusCode::OK, "no proof");
    assert_eq!(give_up(&fresh(&app, &stranger, "/revoke")).await.status, StatusCode::OK, "another key");
    assert_refused(&give_up(&fresh(&app, &signer, "/token")).await, "for another endpoint");
    assert_eq!(poll(&app, TV, &codes, &signer).await.error(), "authorization_pending");
    let proof = fresh(&app, &signer, "/revoke");
    assert_eq!(give_up(&proof).await.status, StatusCode::OK);
    assert_refused(&give_up(&proof).await, "a proof that was used");
    assert_eq!(poll(&app, TV, &codes, &signer).await.error(), "expired_token");
    let other = started(&app, OTHER, &signer).await;
    let form = [("client_id", OTHER), ("token", &*other.device_code), ("token_type_hint", "device_code")];
    assert_refused(&app.post("/revoke", &form).await, "this client always proves a key");
}

/// DP-02: where proofs were switched off meanwhile a tied request still answers to nobody else.
#[tokio::test]
async fn a_tie_outlives_the_switch() {
    let (mut app, signer) = (app().await, Signer::es256());
    let codes = started(&app, TV, &signer).await;
    let clients = app.services[0].clients.all();
    let clients =
        clients.iter().map(|client| DeviceClient { dpop: Dpop::Off, ..DeviceClient::clone(client) });
    let clients = std::sync::Arc::new(clients.collect());
    let pool = app.services[0].pool.clone();
    let off = super::client_auth::add_replica(&mut app, pool, clients);
    assert_eq!(app.poll_on(off, TV, &codes).await.error(), "invalid_grant");
}

/// MD-04: the algorithms of proofs are listed while some client uses them.
#[tokio::test]
async fn the_metadata_lists_the_algorithms_while_proofs_are_on() {
    let read = async |app: &TestApp| {
        let request = request(Method::GET, "/.well-known/oauth-authorization-server");
        app.send(request).await.json()
    };
    let name = "dpop_signing_alg_values_supported";
    assert_eq!(read(&TestApp::new().await).await.get(name), None);
    assert_eq!(read(&app().await).await[name], json!(["ES256", "ES384", "EdDSA", "PS256", "RS256"]));
}

fn device_code_form(codes: &Codes) -> [(&str, &str); 2] {
    [("grant_type", GRANT_TYPE_DEVICE_CODE), ("device_code", &codes.device_code)]
}
