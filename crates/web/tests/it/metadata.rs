use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use device_grant_domain::client::{DeviceClient, Grants};
use device_grant_domain::store::{StoreProblem, Unavailable};
use device_grant_protocol::{GRANT_TYPE_DEVICE_CODE, GRANT_TYPE_REFRESH_TOKEN};
use device_grant_upstream::{OidcPool, OidcPoolConfig};
use device_grant_web::Health;
use serde_json::{Value, json};

use super::app::*;
use super::browser::Browser;
use super::client_assertion;
use super::client_auth::add_replica;
use super::signer::Signer;

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// What a replica knows of the pool when it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// It has read the discovery document.
    Read,
    /// It has not.
    NotYet,
}

/// Puts one more replica in front of the same store, with a connection to the pool that is its own; returns its number.
pub async fn fresh_replica(app: &mut TestApp, discovery: Discovery) -> usize {
    let config = OidcPoolConfig { allow_http: true, ..OidcPoolConfig::new(app.pool.issuer()) };
    let entropy = app.services[0].entropy.clone();
    let pool = Arc::new(OidcPool::new(config, app.clock.clone(), entropy).unwrap());
    if discovery == Discovery::Read {
        pool.refresh_if_due().await.unwrap();
    }
    let clients = app.services[0].clients.clone();
    add_replica(app, pool, clients)
}

async fn metadata(app: &TestApp) -> Value {
    let answer = app.send(request(Method::GET, METADATA)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

async fn app_with(change: impl Fn(&mut Vec<DeviceClient>) + 'static) -> TestApp {
    TestApp::with(Options { clients: Box::new(change), ..Options::default() }).await
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect()
}

/// MD-01: GET and HEAD answer at the well-known path, nothing else does.
#[tokio::test]
async fn the_document_stands_at_its_well_known_path() {
    let app = TestApp::new().await;
    let got = app.send(request(Method::GET, METADATA)).await;
    assert_eq!((got.status, got.header(header::CONTENT_TYPE)), (StatusCode::OK, "application/json"));
    let head = app.send(request(Method::HEAD, METADATA)).await;
    assert_eq!((head.status, head.header(header::CONTENT_TYPE)), (StatusCode::OK, "application/json"));
    assert!(head.text.is_empty());
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let answer = app.send(request(method.clone(), METADATA)).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(answer.header(header::ALLOW).contains("GET"), "{method}");
    }
}

/// MD-02, MD-03, MD-04, MD-05: the whole document: nothing missing, nothing more, nothing false, nothing empty.
#[tokio::test]
async fn the_document_says_what_is_true_and_no_more() {
    let app = TestApp::new().await;
    insta::assert_json_snapshot!(metadata(&app).await, @r#"
    {
      "device_authorization_endpoint": "https://login.example.com/device_authorization",
      "grant_types_supported": [
        "urn:ietf:params:oauth:grant-type:device_code",
        "refresh_token"
      ],
      "issuer": "https://login.example.com",
      "revocation_endpoint": "https://login.example.com/revoke",
      "revocation_endpoint_auth_methods_supported": [
        "client_secret_basic",
        "client_secret_post",
        "none"
      ],
      "scopes_supported": [
        "email",
        "openid",
        "profile"
      ],
      "token_endpoint": "https://login.example.com/token",
      "token_endpoint_auth_methods_supported": [
        "client_secret_basic",
        "client_secret_post",
        "none"
      ]
    }
    "#);
}

/// MD-02: no header and no peer changes a byte.
#[tokio::test]
async fn no_request_changes_the_document() {
    let app = TestApp::new().await;
    let honest = app.send(request(Method::GET, METADATA)).await;
    for peer in [[192, 0, 2, 1], [203, 0, 113, 9]] {
        let mut forged = request(Method::GET, &format!("{METADATA}?issuer=https://evil.example"));
        forged.extensions_mut().insert(std::net::SocketAddr::from((peer, 1)));
        let names = [
            "host",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-forwarded-prefix",
            "forwarded",
        ];
        for name in names {
            forged.headers_mut().insert(name, "evil.example".parse().unwrap());
        }
        assert_eq!(app.send(forged).await.text, honest.text);
    }
    assert_eq!(
        app.send_to(1, request(Method::GET, METADATA)).await.text,
        honest.text,
        "nor does the replica"
    );
}

/// MD-02: every URL in the document is ours and answers as the endpoint that it is said to be.
#[tokio::test]
async fn every_listed_url_answers() {
    let app = TestApp::new().await;
    let document = metadata(&app).await;
    let urls: Vec<(&String, &str)> = document
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_str().filter(|_| name.ends_with("_endpoint"))?)))
        .collect();
    assert_eq!(urls.len(), 3, "{document}");
    for (name, url) in urls {
        let path = url.strip_prefix(PUBLIC_URL).unwrap();
        assert_eq!(app.post(path, &[]).await.error(), "invalid_request", "{name}");
        let answer = match name.as_str() {
            "device_authorization_endpoint" => app.post(path, &[("client_id", TV)]).await,
            "revocation_endpoint" => app.post(path, &[("client_id", TV), ("token", "unknown")]).await,
            _ => app.poll(TV, &app.start(TV).await).await,
        };
        assert!(
            answer.status == StatusCode::OK || answer.error() == "authorization_pending",
            "{name}: {answer:?}"
        );
    }
}

/// MD-03: each listed grant works, and each that is not listed is unsupported.
#[tokio::test]
async fn the_listed_grants_are_the_grants() {
    let app = TestApp::new().await;
    let document = metadata(&app).await;
    let listed = strings(&document["grant_types_supported"]);
    assert_eq!(listed, [GRANT_TYPE_DEVICE_CODE, GRANT_TYPE_REFRESH_TOKEN]);
    let codes = app.start(TV).await;
    Browser::alice(&app).approve(&codes).await;
    let tokens = app.poll(TV, &codes).await.json();
    let token = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", GRANT_TYPE_REFRESH_TOKEN), ("client_id", TV), ("refresh_token", token)];
    assert_eq!(app.post("/token", &form).await.status, StatusCode::OK);
    let others = [
        "authorization_code",
        "implicit",
        "password",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:openid:params:grant-type:ciba",
    ];
    for grant in others {
        let answer = app.post("/token", &[("grant_type", grant), ("client_id", TV), ("code", "x")]).await;
        assert_eq!(answer.error(), "unsupported_grant_type", "{grant}");
    }
}

/// MD-03: where no client may refresh, the refresh grant is not listed.
#[tokio::test]
async fn a_grant_that_nobody_has_is_not_listed() {
    let app = app_with(|clients| {
        for client in clients {
            client.grants = Grants { refresh_token: false, ..client.grants };
        }
    })
    .await;
    assert_eq!(metadata(&app).await["grant_types_supported"], json!([GRANT_TYPE_DEVICE_CODE]));
    let form = [("grant_type", GRANT_TYPE_REFRESH_TOKEN), ("client_id", TV), ("refresh_token", "x")];
    assert_eq!(app.post("/token", &form).await.error(), "unauthorized_client");
}

/// MD-04: the methods that some client uses are listed, for both endpoints, and no others.
#[tokio::test]
async fn the_listed_methods_are_the_ones_in_use() {
    let cases: [(&[&str], Value); 4] = [
        (&[TV, OTHER], json!(["none"])),
        (&[CONSOLE], json!(["client_secret_basic"])),
        (&[SPEAKER], json!(["client_secret_basic", "client_secret_post"])),
        (&[CONSOLE, TV], json!(["client_secret_basic", "none"])),
    ];
    for (kept, methods) in cases {
        let app = app_with(|clients| clients.retain(|client| kept.contains(&client.id.as_str()))).await;
        let document = metadata(&app).await;
        assert_eq!(document["token_endpoint_auth_methods_supported"], methods, "{kept:?}");
        assert_eq!(document["revocation_endpoint_auth_methods_supported"], methods, "{kept:?}");
        let text = document.to_string();
        assert!(!text.contains("signing_alg") && !text.contains("dpop"), "{text}");
    }
}

/// MD-05: a list that would be empty is left out.
#[tokio::test]
async fn empty_lists_are_left_out() {
    let app = app_with(|clients| {
        for client in clients {
            client.scopes = "".parse().unwrap();
        }
    })
    .await;
    let document = metadata(&app).await;
    assert!(document.get("scopes_supported").is_none(), "{document}");
    assert!(document.as_object().unwrap().values().all(|value| *value != json!([]) && !value.is_null()));
}

/// MD-06: our issuer has no OpenID discovery document, wherever it is looked for.
#[tokio::test]
async fn no_openid_document_is_published() {
    let app = TestApp::new().await;
    let places = [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/",
        "/.well-known/oauth-authorization-server/openid-configuration",
        "/.well-known/webfinger",
        "/jwks",
        "/.well-known/jwks.json",
    ];
    for path in places {
        assert_eq!(app.send(request(Method::GET, path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// MD-06: handing ID tokens out is a switch of each client.
#[tokio::test]
async fn id_tokens_can_be_left_out() {
    let app = app_with(|clients| {
        for client in clients.iter_mut().filter(|client| client.id.as_str() == TV) {
            client.token_set.id = false;
        }
    })
    .await;
    for (client, expected) in [(TV, false), (OTHER, true)] {
        let codes = app.start(client).await;
        Browser::alice(&app).approve(&codes).await;
        let tokens = app.poll(client, &codes).await.json();
        assert_eq!(tokens.get("id_token").is_some(), expected, "{client}");
        let token = tokens["refresh_token"].as_str().unwrap();
        let form =
            [("grant_type", GRANT_TYPE_REFRESH_TOKEN), ("client_id", client), ("refresh_token", token)];
        assert_eq!(app.post("/token", &form).await.json().get("id_token").is_some(), expected, "{client}");
    }
}

/// What the balancer's own check hears.
async fn health(app: &TestApp, replica: usize, path: &str) -> (u16, Value) {
    let answer = app.send_from(replica, BALANCER, Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    (answer.status.as_u16(), answer.json())
}

/// A replica that can work says so.
#[tokio::test]
async fn a_healthy_replica_is_ready() {
    let app = TestApp::new().await;
    assert_eq!(health(&app, 0, "/livez").await, (200, json!({"status": "ok"})));
    assert_eq!(health(&app, 0, "/readyz").await, (200, json!({"status": "ready"})));
}

/// What every replica suffers from takes none of them out of the balancer: degraded, with the reason, and still 200.
#[tokio::test]
async fn an_outage_that_all_replicas_share_is_no_reason_to_leave() {
    let mut app = TestApp::new().await;
    app.health.note_store(Err(StoreProblem::Unavailable(Unavailable("host db-7 is down".into()))));
    let (status, body) = health(&app, 0, "/readyz").await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    assert_eq!(body["reasons"], json!(["store: the store does not answer"]));
    app.health.note_store(Ok(()));
    app.pool.refuse_connections().await;
    let unseen = fresh_replica(&mut app, Discovery::NotYet).await;
    let (status, body) = health(&app, unseen, "/readyz").await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    let reasons = strings(&body["reasons"]);
    assert!(reasons.len() == 1 && reasons[0].starts_with("user pool: "), "{reasons:?}");
    assert_eq!(health(&app, unseen, "/livez").await.0, 200);
}

/// A replica that drains, or has not seen the schema, wants no requests; it is alive all the same.
#[tokio::test]
async fn what_is_wrong_with_one_replica_takes_it_out() {
    let mut app = TestApp::new().await;
    app.health.drain();
    assert_eq!(
        health(&app, 0, "/readyz").await,
        (503, json!({"status": "not ready", "reasons": ["draining"]}))
    );
    assert_eq!(health(&app, 0, "/livez").await.0, 200);
    app.health = Arc::new(Health::default());
    let new = fresh_replica(&mut app, Discovery::Read).await;
    let (status, body) = health(&app, new, "/readyz").await;
    assert_eq!((status, &body["status"]), (503, &json!("not ready")));
    app.health.note_store(Ok(()));
    assert_eq!(health(&app, new, "/readyz").await.0, 200);
}

/// An outage after the schema was seen is shared, not this replica's own.
#[tokio::test]
async fn a_store_that_goes_away_later_degrades_only() {
    let app = TestApp::new().await;
    let missing = StoreProblem::Missing { table: "DeviceGrant".to_owned() };
    app.health.note_store(Err(missing));
    let (status, body) = health(&app, 0, "/readyz").await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    app.start(TV).await;
}

/// MD-04: the method and its algorithms are listed while a client has them, for both endpoints.
#[tokio::test]
async fn the_metadata_lists_the_method_while_it_is_on() {
    let names = [
        "token_endpoint_auth_signing_alg_values_supported",
        "revocation_endpoint_auth_signing_alg_values_supported",
    ];
    let off = metadata(&TestApp::new().await).await;
    let on = metadata(&client_assertion::app(&Signer::es256()).await).await;
    for name in names {
        assert_eq!(off.get(name), None);
        assert_eq!(on[name], json!(["ES256", "ES384", "EdDSA", "PS256", "RS256"]));
    }
    for name in ["token_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported"] {
        let listed =
            |document: &Value| document[name].as_array().unwrap().contains(&json!("private_key_jwt"));
        assert!(!listed(&off) && listed(&on), "{name}");
    }
}
