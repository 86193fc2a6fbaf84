//! Clients whose secrets are kept as keyed hashes.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode};
use device_grant_domain::client::registry::{self, Registration, RegistryError, StoredSecret};
use device_grant_domain::client::{ClientAuth, Clients, DeviceClient, OtherSecret};
use device_grant_domain::{KeyMaterial, Purpose, SystemEntropy};
use device_grant_protocol::{ClientId, ClientSecret};

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
        service.clients.replace(known);
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
    registry::add(&*service.records, &speaker(), &registration).await.unwrap();
    know(app, &registration.secrets);
    secret
}

pub async fn stored(app: &TestApp) -> Registration {
    registry::find(&*app.services[0].records, &speaker()).await.unwrap().unwrap()
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
    registry::change(&*service.records, &speaker(), |registration| {
        registration.secrets[0].until = Some(until);
        registration.secrets.insert(0, StoredSecret::of(&fresh, &service.keyring));
        true
    })
    .await
    .unwrap();
    know(&app, &stored(&app).await.secrets);
    for secret in [&old, &fresh] {
        assert_eq!(start(&app, 0, secret.expose()).await.status, StatusCode::OK);
    }
    app.advance(600);
    assert_eq!(start(&app, 0, old.expose()).await.error(), "invalid_client");
    assert_eq!(start(&app, 1, fresh.expose()).await.status, StatusCode::OK);
}

/// CA-09, ST-11: under a key that is not active any more a good secret is hashed anew, so that the key can go; a replica
/// that lacks the key says "try again", never `invalid_client`.
#[tokio::test]
async fn a_good_secret_is_hashed_anew_under_the_active_key() {
    let app = TestApp::new().await;
    let secret = register(&app).await;
    let old = stored(&app).await.secrets;
    let fresh = app.keys.iter().filter(|key| key.purpose == Purpose::Durable).map(|key| KeyMaterial {
        number: 2,
        secret: [5; 32].into(),
        ..key.clone()
    });
    let first =
        app.keys.iter().map(|key| KeyMaterial { active: key.purpose == Purpose::Request, ..key.clone() });
    let rotated: Vec<KeyMaterial> = first.chain(fresh).collect();
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
    let records = &*app.services[0].records;
    let id: ClientId = "set-top-box".parse().unwrap();
    let registration = |name: &str| Registration { settings: name.to_owned(), secrets: vec![], jwks: None };
    registry::add(records, &id, &registration("one")).await.unwrap();
    let again = registry::add(records, &id, &registration("two")).await;
    assert!(matches!(again, Err(RegistryError::Exists)), "{again:?}");
    registry::remove(records, &id).await.unwrap();
    assert!(registry::index(records).await.unwrap().is_empty());
    assert!(matches!(registry::remove(records, &id).await, Err(RegistryError::Unknown)));
    // An addition that was broken off before the index knew of it.
    let left_over = serde_json::to_string(&registration("left over")).unwrap();
    let kind = device_grant_domain::records::RecordKind::Client;
    assert!(records.put_record(kind, id.as_str(), (&left_over, 0), None).await.unwrap());
    registry::add(records, &id, &registration("three")).await.unwrap();
    assert_eq!(registry::find(records, &id).await.unwrap().unwrap().settings, "three");
    assert_eq!(registry::index(records).await.unwrap()[&id], 2);
}
