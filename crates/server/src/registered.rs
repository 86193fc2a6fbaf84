//! Clients that are registered in the store: read into memory, and again when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::DeviceGrant;
use device_grant_domain::client::registry::{Index, RegistryError};
use device_grant_domain::client::{DeviceClient, PoolBinding};
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

    /// Reads what has changed since the last look. While the store is away everything stays as it is.
    pub(crate) async fn refresh(&mut self, service: &DeviceGrant) -> Result<(), RegistryError> {
        let index = service.registry().index().await?;
        if self.seen.as_ref() == Some(&index) {
            return Ok(());
        }
        let before = self.seen.clone().unwrap_or_default();
        for (id, version) in index.iter().filter(|(id, version)| before.get(*id) != Some(*version)) {
            let found = match service.registry().find(id).await {
                Err(altered @ RegistryError::Altered) => {
                    tracing::error!(client = %id, version, "not usable: {altered}");
                    None
                }
                found => found?,
            };
            let client = found.and_then(|registration| {
                let read = self.registrations.client(id, &registration);
                read.map_err(|problem| tracing::error!(client = %id, version, "not usable: {problem}")).ok()
            });
            match client {
                Some(client) => self.clients.insert(id.clone(), Arc::new(client)),
                None => self.clients.remove(id),
            };
        }
        self.clients.retain(|id, _| index.contains_key(id));
        service.clients.replace(self.all(service));
        tracing::info!(registered = self.clients.len(), "the registered clients were read");
        self.seen = Some(index);
        Ok(())
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
