//! Clients that are registered in the store: read into memory, and again when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::DeviceGrant;
use device_grant_domain::client::registry::{Index, Registration, RegistryError};
use device_grant_domain::client::{DeviceClient, PoolBinding, Taken};
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
    /// The clients of the pool that they have for themselves: of each registration that was ever read here, usable or not.
    pool_clients: BTreeMap<ClientId, Option<String>>,
}

impl Registered {
    /// Nothing of the store yet, beside what `service` knows from the configuration.
    pub(crate) fn new(registrations: Registrations, service: &DeviceGrant) -> Self {
        let configured = service.clients.all();
        Self {
            registrations,
            configured,
            seen: None,
            clients: BTreeMap::new(),
            pool_clients: BTreeMap::new(),
        }
    }

    /// Reads what has changed since the last look. While the store is away everything stays as it is; a registration that
    /// cannot be used is told of, and holds no other up.
    pub(crate) async fn refresh(&mut self, service: &DeviceGrant) -> Result<(), Unavailable> {
        let index = service.registry().index().await?;
        if self.seen.as_ref() == Some(&index) {
            return Ok(());
        }
        let read = self.read(service, &index).await;
        self.clients.retain(|id, _| index.contains_key(id));
        self.pool_clients.retain(|id, _| index.contains_key(id));
        // Whom the index names is taken from now on, also where the store did not give the registration any more.
        if read.is_ok() || self.seen.is_some() {
            service.clients.replace(self.all(service), self.taken(service, &index));
        }
        self.seen = Some(read?);
        tracing::info!(registered = self.clients.len(), "the registered clients were read");
        Ok(())
    }

    /// Reads what is new in `index`, and says what need not be read again.
    async fn read(&mut self, service: &DeviceGrant, index: &Index) -> Result<Index, Unavailable> {
        let before = self.seen.clone().unwrap_or_default();
        let mut seen = index.clone();
        for (id, version) in index.iter().filter(|(id, version)| before.get(*id) != Some(*version)) {
            match service.registry().find(id).await {
                Ok(Some(found)) => self.take(id, &found),
                Err(RegistryError::Unavailable(away)) => return Err(away),
                Err(lacking @ RegistryError::KeyMissing(_)) => {
                    tracing::error!(client = %id, version, "stays as it was known: {lacking}");
                    // To be looked at again.
                    seen.remove(id);
                }
                Ok(None) => {
                    tracing::error!(client = %id, version, "not usable: the index names it, and its registration is gone");
                    self.clients.remove(id);
                }
                Err(problem) => {
                    tracing::error!(client = %id, version, "not usable: {problem}");
                    self.clients.remove(id);
                }
            }
        }
        Ok(seen)
    }

    fn take(&mut self, id: &ClientId, found: &Registration) {
        self.pool_clients.insert(id.clone(), Registrations::pool_client(id, found));
        match self.registrations.client(id, found) {
            Ok(client) => {
                self.clients.insert(id.clone(), Arc::new(client));
            }
            Err(problem) => {
                tracing::error!(client = %id, "not usable: {problem}");
                self.clients.remove(id);
            }
        }
    }

    /// What the pool is not asked for. Which of its clients belong to a registration that was never read here nobody knows.
    fn taken(&self, service: &DeviceGrant, index: &Index) -> Taken {
        let pool_clients = self.pool_clients.values().flatten().cloned();
        let names = index.keys().map(ToString::to_string).chain(pool_clients).collect();
        let unread: Vec<_> = index.keys().filter(|id| !self.pool_clients.contains_key(*id)).collect();
        if !unread.is_empty() && service.clients.has_directory() {
            tracing::error!(
                ?unread,
                "no app client of the pool is looked up while registrations cannot be read: mend these, or remove them"
            );
        }
        Taken { names, some_unread: !unread.is_empty() }
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
mod tests;
