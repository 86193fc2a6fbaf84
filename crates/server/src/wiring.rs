//! Where the rooms meet: from a configuration to a service.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use device_grant_aws::{Connection, UserPoolClients};
use device_grant_domain::client::{Clients, DeviceClient};
use device_grant_domain::pool::UserPool;
use device_grant_domain::records::RecordStore;
use device_grant_domain::store::RequestStore;
use device_grant_domain::{
    Clock, DeviceGrant, Entropy, KeyMaterial, Keyring, Ports, Settings, SystemClock, SystemEntropy, Timestamp,
};
use device_grant_store_dynamodb::{DynamoDbConfig, DynamoDbStore};
use device_grant_store_embedded::{EmbeddedStore, MemoryStore, OpenError};
use device_grant_upstream::{Alb, AlbConfig, OidcPool, OidcPoolConfig, RemoteKeys};

use crate::config::{Config, KeyringSource, StoreConfig, Table};
use crate::keyring_home::file;
use crate::metrics::{Measured, Metrics};
use crate::pool_clients::PoolClients;

/// An open store.
pub(crate) enum Store {
    Memory(Arc<MemoryStore>),
    Embedded(Arc<EmbeddedStore>),
    DynamoDb(Arc<DynamoDbStore>),
}

impl Store {
    /// Opens what `config` names. Nothing is asked of a table yet.
    pub(crate) async fn open(config: &StoreConfig) -> anyhow::Result<Self> {
        Ok(match config {
            StoreConfig::Embedded(path) => Self::Embedded(Arc::new(open_file(path).await?)),
            StoreConfig::DynamoDb(table) => {
                Self::DynamoDb(Arc::new(DynamoDbStore::connect(&dynamodb(table)).await))
            }
        })
    }

    /// Opens what `config` names for a command, also beside the server that has the embedded file.
    pub(crate) async fn open_beside(config: &StoreConfig) -> anyhow::Result<Self> {
        match (Self::open(config).await, config) {
            (Err(error), StoreConfig::Embedded(path))
                if matches!(error.downcast_ref(), Some(OpenError::InUse { .. })) =>
            {
                let path = path.clone();
                let visited = tokio::task::spawn_blocking(move || EmbeddedStore::visit(path)).await?;
                Ok(Self::Embedded(Arc::new(visited?)))
            }
            (opened, _) => opened,
        }
    }

    /// The store behind its port.
    pub(crate) fn port(&self) -> Arc<dyn RequestStore> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Embedded(store) => store.clone(),
            Self::DynamoDb(store) => store.clone(),
        }
    }

    /// The records beside the requests.
    pub(crate) fn records(&self) -> Arc<dyn RecordStore> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Embedded(store) => store.clone(),
            Self::DynamoDb(store) => store.clone(),
        }
    }

    /// Forgets what may be forgotten. DynamoDB does that by itself.
    pub(crate) async fn sweep(&self, now: Timestamp) {
        match self {
            Self::Memory(store) => store.sweep(now),
            Self::Embedded(store) => {
                if let Err(error) = store.sweep(now).await {
                    tracing::warn!(%error, "the store was not swept");
                }
            }
            Self::DynamoDb(_) => {}
        }
    }
}

/// Opening waits for the disk.
async fn open_file(path: &Path) -> anyhow::Result<EmbeddedStore> {
    let path = path.to_owned();
    Ok(tokio::task::spawn_blocking(move || EmbeddedStore::open(path)).await??)
}

/// What the store's crate wants to know of a table.
pub(crate) fn dynamodb(table: &Table) -> DynamoDbConfig {
    let defaults = DynamoDbConfig::new(&table.name);
    DynamoDbConfig {
        endpoint_url: table.endpoint_url.clone(),
        region: table.region.clone(),
        attempt_timeout: defaults.attempt_timeout.min(table.timeout),
        operation_timeout: table.timeout,
        ..defaults
    }
}

/// The keys that are on this machine; none where AWS has them. A keyring beside a store that is new as well is made now.
pub(crate) fn keys(source: &KeyringSource, store: &StoreConfig) -> anyhow::Result<Option<Vec<KeyMaterial>>> {
    match (source, store) {
        (KeyringSource::Given(keys) | KeyringSource::File(_, keys), _) => Ok(Some(keys.clone())),
        (KeyringSource::BesideStore(keys), StoreConfig::Embedded(store)) => {
            file::beside(store, keys, &SystemEntropy).map(Some)
        }
        (KeyringSource::BesideStore(keys), StoreConfig::DynamoDb(_)) => file::read(keys).map(Some),
        (KeyringSource::Secret { .. } | KeyringSource::Kms { .. }, _) => Ok(None),
    }
}

/// The user pool. Nothing is sent to it yet.
pub(crate) fn pool(config: OidcPoolConfig) -> anyhow::Result<Arc<OidcPool>> {
    let pool = OidcPool::new(config, Arc::new(SystemClock), Arc::new(SystemEntropy));
    Ok(Arc::new(pool.context("the user pool cannot be used")?))
}

/// Who may start requests, and where others are asked for.
pub(crate) async fn clients(config: &Config) -> Clients {
    let clients = config.clients.iter().cloned();
    let clients = if config.in_store { Clients::and_others(clients) } else { clients.collect() };
    let Some(source) = pool_clients(config).await else { return clients };
    // Whoever speaks for us is no device.
    let reserved = [config.settings.service_client.client_id.clone()];
    clients.and_of(Box::new(source), reserved)
}

/// The app clients of the pool, where those are device clients.
pub(crate) async fn pool_clients(config: &Config) -> Option<PoolClients> {
    let pool = config.cognito.as_ref().filter(|_| config.from_pool)?;
    let connection = Connection::to_region(Some(pool.region.clone())).load().await;
    Some(PoolClients {
        clients: UserPoolClients::new(&connection, &pool.pool),
        registrations: config.registrations.clone(),
        callback_url: config.settings.redirect_uri().into(),
    })
}

/// What clients publish. Nothing is fetched yet.
pub(crate) fn client_keys<'a>(
    clients: impl IntoIterator<Item = &'a DeviceClient>,
) -> anyhow::Result<RemoteKeys> {
    let uris = clients.into_iter().filter_map(|client| client.auth.jwks_uri().cloned());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    RemoteKeys::new(uris, Arc::new(SystemClock), &entropy).context("the keys of clients cannot be fetched")
}

/// The load balancer that signs people in. Nothing is sent yet.
pub(crate) fn balancer(config: AlbConfig) -> anyhow::Result<Arc<Alb>> {
    let alb = Alb::new(config, Arc::new(SystemClock), Arc::new(SystemEntropy));
    Ok(Arc::new(alb.context("the load balancer's sign-in cannot be used")?))
}

/// The service over the machine's own clock and randomness.
pub(crate) fn service(
    store: &Store,
    pool: Arc<OidcPool>,
    keys: Vec<KeyMaterial>,
    clients: Clients,
    settings: Settings,
    metrics: &Metrics,
) -> anyhow::Result<Arc<DeviceGrant>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ports = Ports {
        store: Arc::new(Measured { inner: store.port(), calls: metrics.store.clone() }),
        records: Arc::new(Measured { inner: store.records(), calls: metrics.store.clone() }),
        pool: Arc::new(Measured { inner: pool as Arc<dyn UserPool>, calls: metrics.pool.clone() }),
        client_keys: Arc::new(client_keys(clients.all().iter().map(|client| &**client))?),
        clock,
        entropy: Arc::new(SystemEntropy),
        observer: Arc::new(metrics.clone()),
    };
    let keyring = Arc::new(Keyring::new(keys)?);
    Ok(Arc::new(DeviceGrant::new(ports, keyring, Arc::new(clients), settings)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{self, Environment, Registrations};

    /// A service in memory, and how it reads the clients that are registered there. Its pool never answers.
    pub(crate) fn in_memory(metrics: &Metrics) -> (Arc<DeviceGrant>, Registrations) {
        in_memory_beside(metrics, |clients| clients)
    }

    /// The same, with others beside its clients.
    pub(crate) fn in_memory_beside(
        metrics: &Metrics,
        others: impl FnOnce(Clients) -> Clients,
    ) -> (Arc<DeviceGrant>, Registrations) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let settings = [
            ("PUBLIC_URL", "http://127.0.0.1:8080"),
            ("UPSTREAM__ISSUER", "http://127.0.0.1:1"),
            ("UPSTREAM__CLIENT_ID", "device-grant"),
            ("CLIENTS__IN_STORE", "true"),
        ];
        let settings: Environment =
            settings.map(|(name, value)| (format!("DEVICE_GRANT__{name}"), value.to_owned())).into();
        let config = config::load(None, &settings).map_err(|wrong| wrong.to_string()).unwrap();
        let store = Store::Memory(Arc::new(MemoryStore::default()));
        let pool = pool(config.pool).unwrap();
        let keys = Keyring::fresh_material(&SystemEntropy).to_vec();
        let clients = others(Clients::and_others(config.clients));
        let service = service(&store, pool, keys, clients, config.settings, metrics).unwrap();
        (service, config.registrations)
    }
}
