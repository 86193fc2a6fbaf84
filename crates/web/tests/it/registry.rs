//! Clients whose secrets are kept as keyed hashes.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode};
use device_grant_domain::client::registry::{self, Registration, RegistryError, StoredSecret};
use device_grant_domain::client::{ClientAuth, Clients, DeviceClient, OtherSecret, Taken};
use device_grant_domain::records::RecordKind;
use device_grant_domain::{KeyMaterial, Purpose, SystemEntropy};
use device_grant_protocol::{ClientId, ClientSecret};

use serde_json::{Value, json};

use super::app::*;

fn speaker() -> ClientId {
    SPEAKER.parse().unwrap()
}

/// The speaker, registered with these secrets, known to every replica.
pub fn know(app: &TestApp, secrets: &[StoredSecret]) {
    for service in &app.services {
        let known = service.clients.all().into_iter().map(|client| {
            if client.id.as_str() != SPEAKER {
                return client;
            }
            let hash = secrets[0].hash().unwrap();
            let other = secrets.get(1).map(|old| OtherSecret { hash: old.hash().unwrap(), until: old.until });
            let auth = ClientAuth::Secret { hash, other, post: true };
            Arc::new(DeviceClient { auth, ..DeviceClient::clone(&client) })
        });
        service.clients.replace(known, Taken::default());
    }
}

pub async fn start(app: &TestApp, replica: usize, secret: &str) -> Answer {
    app.send_to(replica, with_basic(post("/device_authorization", &[]), SPEAKER, secret)).await
}

/// Registers the speaker with a fresh secret.
pub async fn register(app: &TestApp) -> ClientSecret {
    let secret = registry::fresh_secret(&SystemEntropy);
    let service = &app.services[0];
    let registration = Registration {
        settings: String::new(),
        secrets: vec![StoredSecret::of(&secret, &service.keyring)],
        jwks: None,
    };
    service.registry().add(&speaker(), &registration).await.unwrap();
    know(app, &registration.secrets);
    secret
}

pub async fn stored(app: &TestApp) -> Registration {
    app.services[0].registry().find(&speaker()).await.unwrap().unwrap()
}

/// CA-15, CA-09: a keyed hash knows its secret and no other; what the store holds is not enough to make one.
#[tokio::test]
async fn a_secret_is_kept_as_a_keyed_hash() {
    let app = TestApp::new().await;
    let secret = register(&app).await;
    assert!(secret.expose().starts_with("dgs1_") && secret.expose().len() == 48, "{}", secret.expose().len());
    for replica in 0..2 {
        assert_eq!(start(&app, replica, secret.expose()).await.status, StatusCode::OK);
        for wrong in ["", SECRET, "dgs1_", &secret.expose()[..47]] {
            assert_eq!(start(&app, replica, wrong).await.error(), "invalid_client", "{wrong:?}");
        }
    }
    let kept = serde_json::to_string(&stored(&app).await).unwrap();
    assert!(!kept.contains(secret.expose()), "{kept}");
    let others_keys = TestApp::with(Options { replicas: 1, ..Options::default() }).await;
    let same_keys = app.keys.iter().map(|key| KeyMaterial { secret: [9; 32].into(), ..key.clone() });
    others_keys.services[0].keyring.replace(same_keys).unwrap();
    know(&others_keys, &stored(&app).await.secrets);
    assert_eq!(start(&others_keys, 0, secret.expose()).await.error(), "invalid_client");
}

/// CA-15: two secrets are good while one is rotated, and the old one until its time and no longer.
#[tokio::test]
async fn an_old_secret_ends_when_it_was_said_to() {
    let app = TestApp::new().await;
    let (old, service) = (register(&app).await, &app.services[0]);
    let fresh = registry::fresh_secret(&SystemEntropy);
    let until = service.clock.now() + Duration::from_mins(10);
    let rotate = |registration: &mut Registration| {
        registration.secrets[0].until = Some(until);
        registration.secrets.insert(0, StoredSecret::of(&fresh, &service.keyring));
        true
    };
    service.registry().change(&speaker(), rotate).await.unwrap();
    know(&app, &stored(&app).await.secrets);
    for secret in [&old, &fresh] {
        assert_eq!(start(&app, 0, secret.expose()).await.status, StatusCode::OK);
    }
    app.advance(600);
    assert_eq!(start(&app, 0, old.expose()).await.error(), "invalid_client");
    assert_eq!(start(&app, 1, fresh.expose()).await.status, StatusCode::OK);
}

/// The keys of the replicas, and a second durable key that seals.
fn with_a_second_durable_key(app: &TestApp) -> Vec<KeyMaterial> {
    let fresh = app.keys.iter().filter(|key| key.purpose == Purpose::Durable).map(|key| KeyMaterial {
        number: 2,
        secret: [5; 32].into(),
        ..key.clone()
    });
    let first =
        app.keys.iter().map(|key| KeyMaterial { active: key.purpose == Purpose::Request, ..key.clone() });
    first.chain(fresh).collect()
}

/// CA-09, ST-11: under a key that is not active any more a good secret is hashed anew, so that the key can go; a replica
/// that lacks the key says "try again", never `invalid_client`.
#[tokio::test]
async fn a_good_secret_is_hashed_anew_under_the_active_key() {
    let app = TestApp::new().await;
    let secret = register(&app).await;
    let old = stored(&app).await.secrets;
    let rotated = with_a_second_durable_key(&app);
    app.services[0].keyring.replace(rotated.clone()).unwrap();
    assert_eq!(start(&app, 0, "wrong").await.error(), "invalid_client");
    assert_eq!(stored(&app).await.secrets, old, "a wrong secret changes nothing");
    assert_eq!(start(&app, 0, secret.expose()).await.status, StatusCode::OK);
    app.settle(0).await;
    let renewed = stored(&app).await.secrets;
    assert_eq!(renewed[0].key, 2);

    know(&app, &renewed);
    assert_eq!(start(&app, 0, secret.expose()).await.status, StatusCode::OK);
    let refused = start(&app, 1, secret.expose()).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    let without_first = rotated.into_iter().filter(|key| key.purpose == Purpose::Request || key.number == 2);
    app.services[1].keyring.replace(without_first).unwrap();
    assert_eq!(start(&app, 1, secret.expose()).await.status, StatusCode::OK, "the old key is not needed");
}

/// TP-18, CA-09: while it is not known who is registered nobody is called unknown: polls hear `slow_down`, the rest 503; a
/// client of the configuration is served.
#[tokio::test]
async fn not_known_yet_is_not_unknown() {
    let mut app = TestApp::new().await;
    let codes = app.start(TV).await;
    let configured = app.services[0].clients.all().into_iter().filter(|client| client.id.as_str() != TV);
    let configured: Vec<DeviceClient> = configured.map(|client| DeviceClient::clone(&client)).collect();
    let pool = app.services[0].pool.clone();
    let clients = Arc::new(Clients::and_others(configured));
    let young = super::client_auth::add_replica(&mut app, pool, clients);
    assert_eq!(app.poll_on(young, TV, &codes).await.error(), "slow_down");
    let start = |client: &str| -> Request<axum::body::Body> {
        post("/device_authorization", &[("client_id", client)])
    };
    let refused = app.send_to(young, start(TV)).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(app.send_to(young, start(OTHER)).await.status, StatusCode::OK);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// Of those who register one id at once one wins, whatever was left over, and the index knows what there is.
#[tokio::test]
async fn an_id_is_registered_once() {
    let app = TestApp::new().await;
    let service = &app.services[0];
    let registry = service.registry();
    let id: ClientId = "set-top-box".parse().unwrap();
    let registration = |name: &str| Registration { settings: name.to_owned(), secrets: vec![], jwks: None };
    registry.add(&id, &registration("one")).await.unwrap();
    let again = registry.add(&id, &registration("two")).await;
    assert!(matches!(again, Err(RegistryError::Exists)), "{again:?}");
    registry.remove(&id).await.unwrap();
    assert!(registry.index().await.unwrap().is_empty());
    assert!(matches!(registry.remove(&id).await, Err(RegistryError::Unknown)));
    // An addition that was broken off before the index knew of it.
    let left_over = serde_json::to_string(&registration("left over")).unwrap();
    assert!(
        service.records.put_record(RecordKind::Client, id.as_str(), (&left_over, 0), None).await.unwrap()
    );
    registry.add(&id, &registration("three")).await.unwrap();
    assert_eq!(registry.find(&id).await.unwrap().unwrap().settings, "three");
    assert_eq!(registry.index().await.unwrap()[&id], 2);
}

/// What somebody writes who can write the table and has no keys.
async fn forge(app: &TestApp, id: &str, data: &str) {
    let records = &app.services[0].records;
    let before = records.record(RecordKind::Client, id).await.unwrap().map_or(0, |record| record.version);
    assert!(records.put_record(RecordKind::Client, id, (data, before), None).await.unwrap());
}

/// CA-15, SEC-08: without the keys nobody changes a registration, moves it to another id, or writes one of their own.
#[tokio::test]
async fn nobody_without_the_keys_registers_or_changes_a_client() {
    let app = TestApp::new().await;
    register(&app).await;
    let registry = app.services[0].registry();
    let good = app.services[0].records.record(RecordKind::Client, SPEAKER).await.unwrap().unwrap().data;
    let change = |path: &str, value: Value| {
        let mut changed: Value = serde_json::from_str(&good).unwrap();
        *changed.pointer_mut(path).unwrap() = value;
        changed.to_string()
    };
    let mut with_keys: Value = serde_json::from_str(&good).unwrap();
    with_keys["jwks"] = json!("{\"keys\":[]}");
    for forged in [
        change("/settings", json!("scopes = [\"admin\"]")),
        change("/secrets/0/mac", json!("A".repeat(43))),
        change("/secrets", json!([])),
        change("/seal", json!("")),
        with_keys.to_string(),
        r#"{"settings":""}"#.to_owned(),
        "no JSON".to_owned(),
    ] {
        forge(&app, SPEAKER, &forged).await;
        let found = registry.find(&speaker()).await;
        assert!(matches!(found, Err(RegistryError::Altered)), "{forged}: {found:?}");
        let changed = registry.change(&speaker(), |_| true).await;
        assert!(matches!(changed, Err(RegistryError::Altered)), "{forged}: {changed:?}");
    }
    forge(&app, TV, &good).await;
    let moved = registry.find(&TV.parse().unwrap()).await;
    assert!(matches!(moved, Err(RegistryError::Altered)), "{moved:?}");
    forge(&app, SPEAKER, &good).await;
    assert!(registry.find(&speaker()).await.is_ok());
}

/// CA-15: seals are made anew under the active key, so that only hashes of secrets keep a durable key from being retired.
#[tokio::test]
async fn a_seal_keeps_no_key_from_being_retired() {
    let app = TestApp::new().await;
    register(&app).await;
    let service = &app.services[0];
    let public = Registration { settings: String::new(), secrets: vec![], jwks: None };
    let id: ClientId = "set-top-box".parse().unwrap();
    service.registry().add(&id, &public).await.unwrap();
    let now = service.clock.now();
    assert_eq!(service.registry().resting_on(1, now).await.unwrap(), [id.clone(), speaker()]);
    service.keyring.replace(with_a_second_durable_key(&app)).unwrap();
    service.registry().seal_anew().await.unwrap();
    assert_eq!(service.registry().resting_on(1, now).await.unwrap(), [speaker()]);
    assert_eq!(service.registry().find(&id).await.unwrap(), Some(public));
    let lacking = app.services[1].registry().find(&id).await;
    assert!(matches!(lacking, Err(RegistryError::KeyMissing(_))), "the key is elsewhere: {lacking:?}");
}
