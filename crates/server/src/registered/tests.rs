use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use device_grant_domain::client::{ClientAuth, ClientSource, SourceError};
use device_grant_domain::records::{Record, RecordKind, RecordStore};
use device_grant_domain::{KeyMaterial, Keyring, SystemEntropy, Timestamp};
use device_grant_testkit::device_client;

use super::*;
use crate::metrics::Metrics;
use crate::wiring::tests::{in_memory, in_memory_beside};

fn id(id: &str) -> ClientId {
    id.parse().unwrap()
}

fn public(more: &str) -> Registration {
    Registration { settings: format!("auth_method = \"none\"\n{more}"), secrets: vec![], jwks: None }
}

fn known() -> (Arc<DeviceGrant>, Registered) {
    let (service, registrations) = in_memory(&Metrics::default());
    let registered = Registered::new(registrations, &service);
    (service, registered)
}

fn ids(service: &DeviceGrant) -> Vec<String> {
    service.clients.all().iter().map(|client| client.id.to_string()).collect()
}

/// CA-15: a registration that nobody can check here holds no other up: who is removed is refused, who is added is known.
#[tokio::test]
async fn one_bad_registration_holds_no_other_up() {
    let (service, mut registered) = known();
    let registry = service.registry();
    let public = public("");
    for client in ["box", "lamp", "zed"] {
        registry.add(&id(client), &public).await.unwrap();
    }
    registered.refresh(&service).await.unwrap();
    assert_eq!(ids(&service), ["box", "lamp", "zed"]);

    let unknown_key = r#"{"settings":"","sealed_with":77,"seal":"AA"}"#;
    for (client, version) in [("aaa", 0), ("box", 1)] {
        let put = service.records.put_record(RecordKind::Client, client, (unknown_key, version), None);
        assert!(put.await.unwrap());
    }
    let index = r#"{"aaa":1,"box":2,"lamp":1,"zed":1}"#;
    assert!(service.records.put_record(RecordKind::Index, "clients", (index, 3), None).await.unwrap());
    registry.remove(&id("zed")).await.unwrap();
    registry.add(&id("tv"), &public).await.unwrap();
    registered.refresh(&service).await.unwrap();
    assert_eq!(ids(&service), ["box", "lamp", "tv"], "the box as it was known");

    let altered = r#"{"settings":"","sealed_with":1,"seal":"AA"}"#;
    let put = service.records.put_record(RecordKind::Client, "box", (altered, 2), None);
    assert!(put.await.unwrap());
    registered.refresh(&service).await.unwrap();
    assert_eq!(ids(&service), ["lamp", "tv"], "it was looked at again, and is nobody's");
}

/// A pool with an app client of every name, which asks for no secret and knows no policies.
struct Everybody;

#[async_trait]
impl ClientSource for Everybody {
    async fn client(&self, id: &ClientId) -> Result<Option<DeviceClient>, SourceError> {
        Ok(Some(device_client(id.as_str(), ClientAuth::None, PoolBinding::Shared)))
    }
}

/// The same, where the pool's app clients are device clients.
fn beside_a_pool() -> (Arc<DeviceGrant>, Registered) {
    let (service, registrations) =
        in_memory_beside(&Metrics::default(), |clients| clients.and_of(Box::new(Everybody), []));
    let registered = Registered::new(registrations, &service);
    (service, registered)
}

/// Who answers to `name`: "the pool's", "ours", "nobody", or "undecided".
async fn who(service: &DeviceGrant, name: &str) -> &'static str {
    match service.client(&id(name)).await {
        // The pool's comes with more scopes than anybody here has.
        Ok(Some(client)) if client.scopes.to_string().contains("email") => "the pool's",
        Ok(Some(_)) => "ours",
        Ok(None) => "nobody",
        Err(_) => "undecided",
    }
}

async fn overwrite(service: &DeviceGrant, kind: RecordKind, name: &str, data: &str) {
    let before = service.records.record(kind, name).await.unwrap().unwrap().version;
    assert!(service.records.put_record(kind, name, (data, before), None).await.unwrap());
}

async fn index_again(service: &DeviceGrant, index: &str) {
    overwrite(service, RecordKind::Index, "clients", index).await;
}

const ALTERED: &str = r#"{"settings":"","sealed_with":1,"seal":"AA"}"#;

/// CA-15, SEC-08: whoever is registered and cannot be used any more is nobody: not the pool's client of that name, which asks
/// for less; nor is the pool's client that one of them has. Who was removed is the pool's again.
#[tokio::test]
async fn no_client_of_the_pool_stands_in_for_one_that_is_registered() {
    let (service, mut registered) = beside_a_pool();
    let registry = service.registry();
    registry.add(&id("tv"), &public("")).await.unwrap();
    registry.add(&id("box"), &public("upstream_client_id = \"behind\"\n")).await.unwrap();
    registry.add(&id("lamp"), &public("")).await.unwrap();
    // Registered under another configuration, and refused by this one.
    registry
        .add(&id("odd"), &public("dpop = \"required\"\nupstream_client_id = \"odd-one\"\n"))
        .await
        .unwrap();
    registered.refresh(&service).await.unwrap();
    for (name, whose) in [
        ("tv", "ours"),
        ("box", "ours"),
        ("behind", "nobody"),
        ("odd", "nobody"),
        ("odd-one", "nobody"),
        ("stranger", "the pool's"),
    ] {
        assert_eq!(who(&service, name).await, whose, "{name}");
    }

    for name in ["tv", "box"] {
        overwrite(&service, RecordKind::Client, name, ALTERED).await;
    }
    assert!(service.records.remove_record(RecordKind::Client, "lamp").await.unwrap());
    index_again(&service, r#"{"box":2,"lamp":2,"odd":1,"tv":2}"#).await;
    registered.refresh(&service).await.unwrap();
    for name in ["tv", "box", "behind", "lamp"] {
        assert_eq!(who(&service, name).await, "nobody", "{name}");
    }
    assert_eq!(
        who(&service, "stranger").await,
        "the pool's",
        "which clients of the pool are taken is known here"
    );

    registry.remove(&id("tv")).await.unwrap();
    registered.refresh(&service).await.unwrap();
    assert_eq!(who(&service, "tv").await, "the pool's");
}

/// CA-15, SEC-08, TP-18: a replica that starts takes nobody from the pool before it has read all that is registered: which of
/// the pool's clients one has for itself stands in its registration.
#[tokio::test]
async fn nobody_is_taken_from_the_pool_before_all_that_is_registered_was_read() {
    let (service, mut registered) = beside_a_pool();
    let registry = service.registry();
    registry.add(&id("box"), &public("upstream_client_id = \"behind\"\n")).await.unwrap();
    registry.add(&id("tv"), &public("")).await.unwrap();
    for name in ["box", "behind", "stranger"] {
        assert_eq!(who(&service, name).await, "undecided", "{name}, when nothing was read");
    }
    overwrite(&service, RecordKind::Client, "box", ALTERED).await;
    registered.refresh(&service).await.unwrap();
    for (name, whose) in
        [("tv", "ours"), ("box", "nobody"), ("behind", "undecided"), ("stranger", "undecided")]
    {
        assert_eq!(who(&service, name).await, whose, "{name}, when box cannot be read");
    }
    registry.remove(&id("box")).await.unwrap();
    registered.refresh(&service).await.unwrap();
    for name in ["box", "behind", "stranger"] {
        assert_eq!(who(&service, name).await, "the pool's", "{name}");
    }
}

/// CA-15, SEC-08: so does a replica that lacks the key of a seal, until it has it.
#[tokio::test]
async fn a_registration_under_a_key_that_is_missing_closes_the_pool() {
    let (service, mut registered) = beside_a_pool();
    let keys = Keyring::fresh_material(&SystemEntropy);
    let elsewhere = keys.clone().map(|key| KeyMaterial { number: 2, ..key });
    let keyring = Keyring::new(elsewhere.clone()).unwrap();
    let registry = device_grant_domain::client::registry::Registry::new(&*service.records, &keyring);
    registry.add(&id("tv"), &public("")).await.unwrap();
    registered.refresh(&service).await.unwrap();
    assert_eq!((who(&service, "tv").await, who(&service, "stranger").await), ("nobody", "undecided"));
    service.keyring.replace(elsewhere).unwrap();
    registered.refresh(&service).await.unwrap();
    assert_eq!((who(&service, "tv").await, who(&service, "stranger").await), ("ours", "the pool's"));
}

/// A store that can fall silent about registrations.
struct Fickle {
    inner: Arc<dyn RecordStore>,
    silent: Arc<AtomicBool>,
}

#[async_trait]
impl RecordStore for Fickle {
    async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Unavailable> {
        if kind == RecordKind::Client && self.silent.load(Ordering::Relaxed) {
            return Err(Unavailable("silent".into()));
        }
        self.inner.record(kind, id).await
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(String, Record)>, Unavailable> {
        self.inner.records(kind).await
    }

    async fn put_record(
        &self,
        kind: RecordKind,
        id: &str,
        what: (&str, u64),
        forget_at: Option<Timestamp>,
    ) -> Result<bool, Unavailable> {
        self.inner.put_record(kind, id, what, forget_at).await
    }

    async fn remove_record(&self, kind: RecordKind, id: &str) -> Result<bool, Unavailable> {
        self.inner.remove_record(kind, id).await
    }
}

/// CA-15, SEC-08, TP-18: a registration that is known of and was not read yet is nobody's chance either.
#[tokio::test]
async fn a_store_that_falls_silent_halfway_opens_no_way_around_a_registration() {
    let (mut service, mut registered) = beside_a_pool();
    let silent = Arc::new(AtomicBool::new(false));
    let inner = Arc::clone(&service.records);
    Arc::get_mut(&mut service).unwrap().records = Arc::new(Fickle { inner, silent: Arc::clone(&silent) });
    let registry = service.registry();
    registry.add(&id("box"), &public("")).await.unwrap();
    silent.store(true, Ordering::Relaxed);
    assert!(registered.refresh(&service).await.is_err());
    assert_eq!(who(&service, "stranger").await, "undecided", "nothing was read");
    silent.store(false, Ordering::Relaxed);
    registered.refresh(&service).await.unwrap();
    assert_eq!(who(&service, "tv").await, "the pool's");
    registry.add(&id("tv"), &public("")).await.unwrap();
    silent.store(true, Ordering::Relaxed);
    assert!(registered.refresh(&service).await.is_err());
    assert_eq!((who(&service, "tv").await, who(&service, "box").await), ("nobody", "ours"));
    silent.store(false, Ordering::Relaxed);
    registered.refresh(&service).await.unwrap();
    assert_eq!(who(&service, "tv").await, "ours");
}
