//! Clients that are registered in the store: read into memory, and again when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::DeviceGrant;
use device_grant_domain::client::registry::{Index, Registration, RegistryError};
use device_grant_domain::client::{DeviceClient, PoolBinding};
use device_grant_domain::store::Unavailable;
use device_grant_protocol::ClientId;

use crate::config::Registrations;

/// How often a server looks for changes.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);

/// The clients of the configuration and, as far as they have been read, those of the store.
pub(crate) struct Registered {
    registrations: Registrations,
    configured: Vec<Arc<DeviceClient>>,
    seen: Option<Index>,
    clients: BTreeMap<ClientId, Arc<DeviceClient>>,
}

impl Registered {
    /// Nothing of the store yet, beside what `service` knows from the configuration.
    pub(crate) fn new(registrations: Registrations, service: &DeviceGrant) -> Self {
        let configured = service.clients.all();
        Self { registrations, configured, seen: None, clients: BTreeMap::new() }
    }

    /// Reads what has changed since the last look. While the store is away everything stays as it is; a registration that
    /// cannot be used is told of, and holds nothing up.
    pub(crate) async fn refresh(&mut self, service: &DeviceGrant) -> Result<(), Unavailable> {
        let index = service.registry().index().await?;
        if self.seen.as_ref() == Some(&index) {
            return Ok(());
        }
        let before = self.seen.clone().unwrap_or_default();
        let mut seen = index.clone();
        for (id, version) in index.iter().filter(|(id, version)| before.get(*id) != Some(*version)) {
            match service.registry().find(id).await {
                Ok(found) => self.take(id, found),
                Err(RegistryError::Unavailable(away)) => return Err(away),
                Err(lacking @ RegistryError::KeyMissing(_)) => {
                    tracing::error!(client = %id, version, "stays as it was known: {lacking}");
                    // To be looked at again.
                    seen.remove(id);
                }
                Err(problem) => {
                    tracing::error!(client = %id, version, "not usable: {problem}");
                    self.take(id, None);
                }
            }
        }
        self.clients.retain(|id, _| index.contains_key(id));
        service.clients.replace(self.all(service));
        tracing::info!(registered = self.clients.len(), "the registered clients were read");
        self.seen = Some(seen);
        Ok(())
    }

    fn take(&mut self, id: &ClientId, found: Option<Registration>) {
        let read = found.map(|registration| self.registrations.client(id, &registration));
        match read {
            Some(Ok(client)) => self.clients.insert(id.clone(), Arc::new(client)),
            Some(Err(problem)) => {
                tracing::error!(client = %id, "not usable: {problem}");
                self.clients.remove(id)
            }
            None => self.clients.remove(id),
        };
    }

    /// Those of the configuration, and of the others all that do not get in their way.
    fn all(&self, service: &DeviceGrant) -> Vec<Arc<DeviceClient>> {
        let mut all = self.configured.clone();
        let mut ids: BTreeSet<ClientId> = all.iter().map(|client| client.id.clone()).collect();
        let shared = service.settings.service_client.client_id.clone();
        let mut pool_ids: BTreeSet<String> =
            all.iter().filter_map(|client| own_pool_client(client)).chain([shared]).collect();
        for client in self.clients.values() {
            if !ids.insert(client.id.clone()) {
                tracing::error!(client = %client.id, "registered, but the configuration has a client of this id");
            } else if own_pool_client(client).is_some_and(|id| !pool_ids.insert(id)) {
                // Refresh tokens of a shared pool client must be sealed to their device client; these would not be.
                tracing::error!(client = %client.id, "registered with a pool client that another client has");
            } else {
                all.push(Arc::clone(client));
            }
        }
        all
    }
}

fn own_pool_client(client: &DeviceClient) -> Option<String> {
    match &client.pool_client {
        PoolBinding::Own(own) => Some(own.client_id.clone()),
        PoolBinding::Shared => None,
    }
}

#[cfg(test)]
mod tests {
    use device_grant_domain::records::RecordKind;

    use super::*;
    use crate::metrics::Metrics;
    use crate::wiring::tests::in_memory;

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
        let public =
            Registration { settings: "auth_method = \"none\"\n".to_owned(), secrets: vec![], jwks: None };
        let id = |id: &str| id.parse::<ClientId>().unwrap();
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
}
