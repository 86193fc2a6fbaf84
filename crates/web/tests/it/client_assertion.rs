use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::hmac;
use axum::http::{StatusCode, header};
use device_grant_domain::Clock;
use device_grant_domain::client::{
    Audience, ClientAuth, DeviceClient, Grants, KeySource, PoolBinding, PrivateKeyJwt,
};
use device_grant_domain::jws::{KeySet, SigningAlgorithm};
use device_grant_protocol::{CLIENT_ASSERTION_TYPE_JWT_BEARER, GRANT_TYPE_DEVICE_CODE};
use device_grant_testkit::{Call, StoreFault};
use serde_json::{Value, json};

use super::app::*;
use super::browser::{Browser, outcome};
use super::signer::{Signer, encode as encode_bytes, message, with};

mod published;

/// A client that signs itself in.
const SENSOR: &str = "sensor";
const KID: &str = "2026";

static DRAWN: AtomicU32 = AtomicU32::new(0);

/// The default clients and [`SENSOR`], which has `keys`.
async fn app_with(keys: KeySource, audience: Audience) -> TestApp {
    let algorithms = SigningAlgorithm::OF_DEVICES.to_vec();
    app_with_method(PrivateKeyJwt { keys, algorithms, audience }).await
}

async fn app_with_method(method: PrivateKeyJwt) -> TestApp {
    let clients = Box::new(move |clients: &mut Vec<DeviceClient>| {
        let tv = clients.iter().find(|client| client.id.as_str() == TV).unwrap().clone();
        clients.push(DeviceClient {
            id: SENSOR.parse().unwrap(),
            auth: ClientAuth::PrivateKeyJwt(method.clone()),
            pool_client: PoolBinding::Shared,
            grants: Grants { device_code: true, refresh_token: true },
            ..tv
        });
    });
    TestApp::with(Options { clients, ..Options::default() }).await
}

fn registered(keys: &[Value]) -> KeySource {
    KeySource::Registered(Arc::new(KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()))
}

/// The default clients and one that signs itself in with `signer`.
pub async fn app(signer: &Signer) -> TestApp {
    app_with(registered(&[signer.named(KID)]), Audience::Issuer).await
}

fn honest_header(signer: &Signer) -> Value {
    json!({ "alg": signer.alg(), "kid": KID, "typ": "client-authentication+jwt" })
}

fn honest_claims(app: &TestApp) -> Value {
    let now = app.clock.now().as_secs();
    let jti = format!("jti-{}", DRAWN.fetch_add(1, Ordering::Relaxed));
    json!({ "iss": SENSOR, "sub": SENSOR, "aud": PUBLIC_URL, "exp": now + 300, "iat": now, "jti": jti })
}

fn fresh(app: &TestApp, signer: &Signer) -> String {
    signer.sign(&honest_header(signer), &honest_claims(app))
}

fn asserted<'a>(form: &[(&'a str, &'a str)], assertion: &'a str) -> Vec<(&'a str, &'a str)> {
    let own = [("client_assertion_type", CLIENT_ASSERTION_TYPE_JWT_BEARER), ("client_assertion", assertion)];
    [form, &own].concat()
}

async fn start_on(app: &TestApp, replica: usize, assertion: &str) -> Answer {
    app.send_to(replica, post("/device_authorization", &asserted(&[], assertion))).await
}

async fn start(app: &TestApp, assertion: &str) -> Answer {
    start_on(app, 0, assertion).await
}

async fn poll(app: &TestApp, codes: &Codes, assertion: &str) -> Answer {
    let form = [("grant_type", GRANT_TYPE_DEVICE_CODE), ("device_code", codes.device_code.as_str())];
    app.post("/token", &asserted(&form, assertion)).await
}

#[track_caller]
fn assert_invalid_client(answer: &Answer, why: &str) {
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (StatusCode::UNAUTHORIZED, "invalid_client"),
        "{why}"
    );
}

/// CA-10, CA-11, CA-14: with a key of each kind, at each endpoint, with the issuer as audience; `client_id` may stand
/// beside it.
#[tokio::test]
async fn a_client_that_signs_itself_in_is_known_everywhere() {
    for signer in Signer::of_each_kind() {
        let app = app(&signer).await;
        for (path, form) in [
            ("/device_authorization", &[][..]),
            ("/device_authorization", &[("client_id", SENSOR)]),
            ("/token", &[("grant_type", GRANT_TYPE_DEVICE_CODE), ("device_code", "never issued")]),
            ("/token", &[("grant_type", "refresh_token"), ("refresh_token", "never issued")]),
            ("/token", &[("client_id", SENSOR)]),
            ("/revoke", &[("token", "never issued")]),
        ] {
            let answer = app.post(path, &asserted(form, &fresh(&app, &signer))).await;
            let known = answer.status == StatusCode::OK || answer.error() == "invalid_grant";
            assert!(known, "{} at {path}: {answer:?}", signer.alg());
        }
    }
}

/// CA-10, CA-14: no typ, or the plain one, or the one for this use; with or without a `kid`.
#[tokio::test]
async fn the_header_may_be_plain() {
    let signer = Signer::es256();
    let app = app(&signer).await;
    for change in [
        json!({ "typ": null }),
        json!({ "typ": "JWT" }),
        json!({ "typ": "application/client-authentication+jwt" }),
        json!({ "kid": null }),
    ] {
        let assertion = signer.sign(&with(honest_header(&signer), &change), &honest_claims(&app));
        assert_eq!(start(&app, &assertion).await.status, StatusCode::OK, "{change}");
    }
}

/// CA-10, CA-11, CA-12, CA-13: each claim that is missing or wrong fails, and always in the same words.
#[tokio::test]
async fn a_wrong_claim_is_an_unknown_client() {
    let signer = Signer::es256();
    let app = app(&signer).await;
    let now = app.clock.now().as_secs();
    let unknown = app.post("/device_authorization", &[("client_id", "nobody")]).await;
    for change in [
        json!({ "iss": null }),
        json!({ "sub": null }),
        json!({ "iss": TV }),
        json!({ "iss": TV, "sub": TV }),
        json!({ "iss": "nobody", "sub": "nobody" }),
        json!({ "iss": [SENSOR] }),
        json!({ "sub": "Sensor" }),
        json!({ "aud": null }),
        json!({ "aud": format!("{PUBLIC_URL}/") }),
        json!({ "aud": PUBLIC_URL.to_uppercase() }),
        json!({ "aud": format!("{PUBLIC_URL}/token") }),
        json!({ "aud": format!("{PUBLIC_URL}/device_authorization") }),
        json!({ "aud": [PUBLIC_URL, "https://other.example"] }),
        json!({ "aud": [PUBLIC_URL, PUBLIC_URL] }),
        json!({ "aud": [] }),
        json!({ "aud": "https://other.example" }),
        json!({ "exp": null }),
        json!({ "exp": now - 600 }),
        json!({ "exp": now + 10 * 365 * 86_400 }),
        json!({ "exp": "soon" }),
        json!({ "nbf": now + 600 }),
        json!({ "iat": now + 600 }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": 7 }),
    ] {
        let assertion = signer.sign(&honest_header(&signer), &with(honest_claims(&app), &change));
        let answer = start(&app, &assertion).await;
        assert_invalid_client(&answer, &change.to_string());
        assert_eq!((&answer.text, &answer.headers), (&unknown.text, &unknown.headers), "{change}");
    }
    assert_eq!((app.store.count(Call::Create), app.store.count(Call::Spend)), (0, 0), "nothing was written");
    for change in
        [json!({ "exp": now - 30 }), json!({ "aud": [PUBLIC_URL] }), json!({ "jti": "j".repeat(4000) })]
    {
        let assertion = signer.sign(&honest_header(&signer), &with(honest_claims(&app), &change));
        assert_eq!(start(&app, &assertion).await.status, StatusCode::OK, "{change}");
    }
}

/// CA-14, CA-15: one forgery for each trick with algorithms, types and keys.
#[tokio::test]
async fn no_forgery_is_taken() {
    let (signer, forger) = (Signer::es256(), Signer::es256());
    let app = app(&signer).await;
    let header = honest_header(&signer);
    let by_hmac = |key: &[u8]| {
        let message = message(&with(header.clone(), &json!({ "alg": "HS256" })), &honest_claims(&app));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
        format!("{message}.{}", encode_bytes(tag.as_ref()))
    };
    let by =
        |signer: &Signer, change: Value| signer.sign(&with(header.clone(), &change), &honest_claims(&app));
    let brought_along = json!({
        "jwk": forger.jwk(), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "x5c": ["AAAA"],
    });
    let honest = fresh(&app, &signer);
    let (message_of_it, signature) = honest.rsplit_once('.').unwrap();
    let mut flipped = signature.to_owned();
    flipped.replace_range(10..11, if flipped.as_bytes()[10] == b'A' { "B" } else { "A" });
    let none = message(&with(header.clone(), &json!({ "alg": "none" })), &honest_claims(&app));
    let p384 = Signer::of_each_kind().swap_remove(1);
    let tricks = [
        ("no signature", format!("{message_of_it}.")),
        ("another signature", format!("{message_of_it}.{flipped}")),
        ("alg none", format!("{none}.")),
        ("an HMAC with the public key", by_hmac(signer.public_key())),
        ("an HMAC with the public key's text", by_hmac(signer.jwk().to_string().as_bytes())),
        ("a stranger's key under our kid", by(&forger, json!({}))),
        ("a stranger's key in the header", by(&forger, brought_along.clone())),
        ("a stranger's key without kid", by(&forger, with(brought_along.clone(), &json!({ "kid": null })))),
        ("another curve", by(&p384, json!({ "alg": "ES384" }))),
        ("another curve under this name", by(&p384, json!({}))),
        ("an algorithm that is not the client's", by(&signer, json!({ "alg": "RS384" }))),
        ("a proof's type", by(&signer, json!({ "typ": "dpop+jwt" }))),
        ("an access token's type", by(&signer, json!({ "typ": "at+jwt" }))),
        ("a critical extension", by(&signer, json!({ "crit": ["b64"], "b64": false }))),
        ("a kid that is no text", by(&signer, json!({ "kid": 7 }))),
        ("an unknown kid", by(&signer, json!({ "kid": "other" }))),
        ("no JWT", "never signed".to_owned()),
        ("an encrypted JWT", "a.b.c.d.e".to_owned()),
        ("nothing", String::new()),
        ("far too much", by(&signer, json!({ "pad": "x".repeat(9000) }))),
    ];
    for (why, assertion) in tricks {
        assert_invalid_client(&start(&app, &assertion).await, why);
    }
    assert_eq!((app.store.count(Call::Create), app.store.count(Call::Spend)), (0, 0), "nothing was written");
    let own = by(&signer, brought_along);
    assert_eq!(
        start(&app, &own).await.status,
        StatusCode::OK,
        "the honest one, whatever its header brings along"
    );
}

/// CA-14: a key is good for the algorithms that its client may use, and for no other that it could make.
#[tokio::test]
async fn the_clients_own_list_counts() {
    let rsa = Signer::of_each_kind().swap_remove(3);
    for (algorithms, good) in [(vec![SigningAlgorithm::Ps256], false), (vec![SigningAlgorithm::Rs256], true)]
    {
        let keys = registered(&[rsa.named(KID)]);
        let app = app_with_method(PrivateKeyJwt { keys, algorithms, audience: Audience::Issuer }).await;
        let answer = start(&app, &fresh(&app, &rsa)).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{answer:?}");
    }
}

/// CA-10, CA-06, CA-07: the type exactly, both halves, and no second way beside it.
#[tokio::test]
async fn an_assertion_stands_alone() {
    let signer = Signer::es256();
    let app = app(&signer).await;
    let kind = ("client_assertion_type", CLIENT_ASSERTION_TYPE_JWT_BEARER);
    let path = "/device_authorization";
    let assertion = fresh(&app, &signer);
    let text = ("client_assertion", assertion.as_str());
    let saml = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer");
    for form in [
        vec![text],
        vec![kind],
        vec![kind, ("client_assertion", ""), ("client_id", SENSOR)],
        vec![saml, text],
        vec![kind, text, ("client_id", TV)],
        vec![kind, text, ("client_id", SENSOR), ("client_secret", SECRET)],
    ] {
        assert_invalid_client(&app.post(path, &form).await, &format!("{form:?}"));
    }
    let with_basic = with_basic(post(path, &[kind, text]), SPEAKER, SECRET);
    assert_invalid_client(&app.send(with_basic).await, "Basic beside it");
    let twice = app.post(path, &[kind, text, text]).await;
    assert_eq!(twice.error(), "invalid_request");
    let in_url = raw_post(&format!("{path}?{}", encode(&[text])), encode(&[kind]));
    assert_eq!(app.send(in_url).await.error(), "invalid_request");
    assert_eq!(start(&app, &assertion).await.status, StatusCode::OK, "none of these has used it up");
}

/// CA-08: a client with keys proves itself by them and in no other way.
#[tokio::test]
async fn a_client_with_keys_has_no_other_way() {
    let signer = Signer::es256();
    let app = app(&signer).await;
    let path = "/device_authorization";
    assert_invalid_client(&app.post(path, &[("client_id", SENSOR)]).await, "no credentials");
    let secret = [("client_id", SENSOR), ("client_secret", SECRET)];
    assert_invalid_client(&app.post(path, &secret).await, "a secret in the body");
    assert_invalid_client(&app.send(with_basic(post(path, &[]), SENSOR, SECRET)).await, "Basic");
    for other in [TV, SPEAKER] {
        let claims = with(honest_claims(&app), &json!({ "iss": other, "sub": other }));
        let assertion = signer.sign(&honest_header(&signer), &claims);
        assert_invalid_client(&start(&app, &assertion).await, other);
    }
}

/// CA-11: where the operator allows it the URL of the endpoint is an audience as well.
#[tokio::test]
async fn an_endpoint_is_an_audience_where_it_was_allowed() {
    let signer = Signer::es256();
    let app = app_with(registered(&[signer.named(KID)]), Audience::Endpoint).await;
    let at = |path: &str| format!("{PUBLIC_URL}{path}");
    for (aud, good) in [
        (json!(PUBLIC_URL), true),
        (json!(at("/token")), true),
        (json!([at("/device_authorization")]), true),
        (json!([PUBLIC_URL, at("/token")]), true),
        (json!(at("/revoke")), false),
        (json!([at("/token"), "https://other.example"]), false),
        (json!("https://other.example/token"), false),
    ] {
        let claims = with(honest_claims(&app), &json!({ "aud": aud }));
        let answer = start(&app, &signer.sign(&honest_header(&signer), &claims)).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{aud}");
    }
}

/// CA-13: an assertion works once: not again, not on another replica, not at the same moment, as long as it is good.
#[tokio::test]
async fn an_assertion_works_once() {
    let signer = Signer::es256();
    let app = app(&signer).await;
    let assertion = fresh(&app, &signer);
    assert_eq!(start(&app, &assertion).await.status, StatusCode::OK);
    assert_invalid_client(&start(&app, &assertion).await, "the same replica");
    assert_invalid_client(&start_on(&app, 1, &assertion).await, "the other replica");
    app.advance(300 + 59);
    assert_invalid_client(&start_on(&app, 1, &assertion).await, "in its last second");
    for _ in 0..10 {
        let assertion = fresh(&app, &signer);
        let (one, other) = tokio::join!(start_on(&app, 0, &assertion), start_on(&app, 1, &assertion));
        let taken = [one, other].iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(taken, 1, "one success");
    }
}

/// CA-10, CA-13: a whole login and a refresh, a fresh assertion each time.
#[tokio::test]
async fn a_login_runs_on_assertions_alone() {
    let signer = Signer::es256();
    let app = app(&signer).await;
    let started = start(&app, &fresh(&app, &signer)).await;
    let codes = codes(&started);
    assert_eq!(poll(&app, &codes, &fresh(&app, &signer)).await.error(), "authorization_pending");
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let used = fresh(&app, &signer);
    let tokens = poll(&app, &codes, &used).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
    let refresh_token = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    assert_invalid_client(&app.post("/token", &asserted(&form, &used)).await, "a used one");
    let refreshed = app.post("/token", &asserted(&form, &fresh(&app, &signer))).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
}

/// TP-19, CA-13: a bad assertion at speed touches nothing of the request, and costs the real client nothing.
#[tokio::test]
async fn bad_assertions_do_not_slow_the_client_down() {
    let (signer, forger) = (Signer::es256(), Signer::es256());
    let app = app(&signer).await;
    let codes = codes(&start(&app, &fresh(&app, &signer)).await);
    let loads = app.store.count(Call::Load);
    for _ in 0..30 {
        assert_invalid_client(&poll(&app, &codes, &fresh(&app, &forger)).await, "forged");
    }
    assert_eq!(app.store.count(Call::Load), loads);
    assert_eq!(poll(&app, &codes, &fresh(&app, &signer)).await.error(), "authorization_pending");
}

/// CA-13, TP-18: while nobody can say whether an assertion was used, a client is never called unknown: polls come back,
/// the rest is told to.
#[tokio::test]
async fn a_store_that_is_away_makes_no_client_unknown() {
    let signer = Signer::es256();
    let app = app(&signer).await;
    let codes = codes(&start(&app, &fresh(&app, &signer)).await);
    for fault in [StoreFault::Before, StoreFault::After] {
        app.store.fail(Call::Spend, fault, u32::MAX);
        let polled = poll(&app, &codes, &fresh(&app, &signer)).await;
        assert_eq!((polled.status, polled.error().as_str()), (StatusCode::BAD_REQUEST, "slow_down"));
        assert_eq!((polled.header(header::RETRY_AFTER), polled.json()["interval"].as_u64()), ("5", Some(5)));
        for (path, form) in [
            ("/device_authorization", &[][..]),
            ("/token", &[("grant_type", "refresh_token"), ("refresh_token", "x")]),
            ("/revoke", &[("token", "x")]),
        ] {
            let answer = app.post(path, &asserted(form, &fresh(&app, &signer))).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(
                (answer.error().as_str(), answer.header(header::RETRY_AFTER)),
                ("temporarily_unavailable", "5")
            );
        }
        app.store.heal();
    }
    assert_eq!(poll(&app, &codes, &fresh(&app, &signer)).await.error(), "authorization_pending");
}
