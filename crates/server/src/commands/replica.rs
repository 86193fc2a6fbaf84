//! One replica while it serves: its background work, its connections, its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use device_grant_domain::client::{DeviceClient, PoolBinding};
use device_grant_domain::keys::KEYS_PERIOD;
use device_grant_domain::pool::PoolFacts;
use device_grant_domain::store::StoreProblem;
use device_grant_domain::{Clock, DeviceGrant, KeyMaterial, SystemClock, SystemEntropy, TALLY_PERIOD, bytes};
use device_grant_upstream::OidcPool;
use device_grant_web::{Health, Load, SignIn, WebConfig, router};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::{Config, Network};
use crate::keyring_home::KeyringHome;
use crate::listen::Connections;
use crate::metrics::{Metrics, ReplicaState};
use crate::pool_secrets::PoolSecrets;
use crate::registered::{self, Registered};
use crate::wiring::{self, Store};
use crate::{files, listen};

const STORE_CHECK: Duration = Duration::from_secs(10);
const POOL_LOOK: Duration = Duration::from_secs(5);
/// What is still under way when the last connection has ended. Orchestrators kill after half a minute in all; a cut-off
/// exchange is taken over by its device's next poll.
const LAST_TASKS: Duration = Duration::from_secs(3);
/// Scrapers are few.
const METRICS_CONNECTIONS: usize = 32;
const SWEEP: Duration = Duration::from_mins(1);

/// Everything that serves.
pub(super) struct Replica {
    pub(super) service: Arc<DeviceGrant>,
    pub(super) pool: Arc<OidcPool>,
    pub(super) store: Arc<Store>,
    pub(super) web: WebConfig,
    pub(super) network: Network,
    pub(super) account_claim: String,
    metrics: Metrics,
    /// What this one is called among the others.
    id: String,
    /// Clients that are registered in the store, if that is where some are.
    registered: Option<Registered>,
    /// Where the keys came from.
    home: Arc<KeyringHome>,
    pool_secrets: Option<PoolSecrets>,
}

impl Replica {
    /// The service that `config` describes, on this store and with these keys.
    pub(super) async fn new(
        config: Config,
        store: Store,
        (home, keys): (KeyringHome, Vec<KeyMaterial>),
    ) -> anyhow::Result<Self> {
        let clients = wiring::clients(&config).await;
        let mut pool_secrets = PoolSecrets::new(config.region.clone());
        pool_secrets.read_missing(&config.settings.service_client, &clients).await?;
        let Config { settings, registrations, in_store, pool, web, alb, network, .. } = config;
        let store = Arc::new(store);
        let account_claim = pool.account_claim.clone();
        let pool = wiring::pool(pool)?;
        let sign_in = alb.map(wiring::balancer).transpose()?;
        let web =
            WebConfig { sign_in: sign_in.map_or(web.sign_in, |balancer| SignIn::Balancer(balancer)), ..web };
        let metrics = Metrics::default();
        let service = wiring::service(&store, Arc::clone(&pool), keys, clients, settings, &metrics)?;
        let id = format!("{:016x}", u64::from_be_bytes(bytes(&SystemEntropy)));
        let registered = in_store.then(|| Registered::new(registrations, &service));
        Ok(Self {
            service,
            pool,
            store,
            web,
            network,
            account_claim,
            metrics,
            id,
            registered,
            home: Arc::new(home),
            pool_secrets: Some(pool_secrets),
        })
    }

    /// Serves on `listener` until `ended`; then drains, in the order that load balancers need.
    pub(super) async fn serve(
        mut self,
        listener: TcpListener,
        ended: impl Future<Output = ()> + Send,
    ) -> anyhow::Result<()> {
        files::make_room(&self.network);
        let health = Arc::new(Health::default());
        let mut background = self.background(&health).await?;
        let Self { service, network, .. } = &self;
        tracing::info!(
            address = %listener.local_addr()?,
            public_url = %service.settings.public_url,
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        let load = Arc::new(Load::new(network.requests_at_once));
        let connections = Connections::new(network.max_connections);
        let router = router(Arc::clone(service), Arc::clone(&health), Arc::clone(&load), self.web.clone());
        let router = self.metrics.watch(router);
        if let Some(listen) = &network.metrics_listen {
            let state = ReplicaState {
                service: Arc::clone(service),
                health: Arc::clone(&health),
                load,
                connections: connections.clone(),
            };
            let (listener, metrics) = (bind(listen).await?, self.metrics.router(state));
            let network = network.clone();
            background.spawn(async move {
                let connections = Connections::new(METRICS_CONNECTIONS);
                listen::serve(listener, metrics, &network, &connections, std::future::pending()).await;
            });
        }
        let stopped = async {
            ended.await;
            tracing::info!("draining");
            health.drain();
            tokio::time::sleep(network.drain_delay).await;
        };
        tokio::select! {
            () = listen::serve(listener, router, network, &connections, stopped) => {}
            Some(outcome) = background.join_next() => {
                outcome.context("a background task failed")?;
                bail!("a background task ended");
            }
        }
        service.tasks.close();
        if tokio::time::timeout(LAST_TASKS, service.tasks.wait()).await.is_err() {
            tracing::warn!("some exchanges did not finish in time; the next poll of their device takes over");
        }
        background.shutdown().await;
        if let Err(problem) = service.leave_keys(&self.id).await {
            tracing::debug!(error = %problem, "the other replicas were not told of the end");
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Work that never ends. The store is looked at once before anybody is served.
    async fn background(&mut self, health: &Arc<Health>) -> anyhow::Result<JoinSet<()>> {
        let (registered, pool_secrets) = (self.registered.take(), self.pool_secrets.take());
        let (service, pool, store) = (&self.service, &self.pool, &self.store);
        let first = service.store.check().await;
        if let Err(problem @ (StoreProblem::Missing { .. } | StoreProblem::Schema { .. })) = first {
            return Err(problem.into());
        }
        let good = note(health, first, true);
        let mut background = JoinSet::new();
        background.spawn(watch_store(Arc::clone(service), Arc::clone(health), good));
        background.spawn(tend_keys(Arc::clone(service), self.id.clone(), Arc::clone(&self.home)));
        if let Some(mut registered) = registered {
            // Whom nobody knows yet is not unknown, but it is better to know them before the first request.
            if let Err(problem) = registered.refresh(service).await {
                tracing::warn!(error = %problem, "the registered clients are not known yet");
            }
            background.spawn(watch_clients(Arc::clone(service), registered));
        }
        if let Some(pool_secrets) = pool_secrets {
            background.spawn(pool_secrets.keep_fresh(Arc::clone(service)));
        }
        background.spawn(share_tally(Arc::clone(service)));
        background.spawn(watch_pool(Arc::clone(service), self.account_claim.clone()));
        let (pool, store) = (Arc::clone(pool), Arc::clone(store));
        background.spawn(async move { pool.keep_fresh().await });
        background.spawn(async move {
            let mut ticks = tokio::time::interval(SWEEP);
            loop {
                ticks.tick().await;
                store.sweep(SystemClock.now()).await;
            }
        });
        Ok(background)
    }
}

/// Listens on `address`.
pub(super) async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

async fn watch_store(service: Arc<DeviceGrant>, health: Arc<Health>, mut good: bool) {
    loop {
        tokio::time::sleep(STORE_CHECK).await;
        good = note(&health, service.store.check().await, good);
    }
}

/// Keeps to what stands where the keys live, and tells the other replicas of it.
async fn tend_keys(service: Arc<DeviceGrant>, replica: String, home: Arc<KeyringHome>) {
    let mut ticks = tokio::time::interval(KEYS_PERIOD);
    for look in 0_u64.. {
        ticks.tick().await;
        if look % home.rest() == 0 {
            reload(&service, &home).await;
        }
        if let Err(problem) = service.tend_keys(&replica).await {
            tracing::debug!(error = %problem, "what other replicas hold is not known");
        }
    }
}

/// What cannot be read or used changes nothing.
async fn reload(service: &DeviceGrant, home: &KeyringHome) {
    let before = format!("{:?}", service.keyring);
    let replaced = match home.read().await {
        Ok(Some(keys)) => service.keyring.replace(keys).map_err(anyhow::Error::from),
        Ok(None) => Ok(()),
        Err(problem) => Err(problem),
    };
    match replaced {
        Ok(()) if format!("{:?}", service.keyring) != before => {
            tracing::info!(keys = ?service.keyring, "the keyring has changed");
        }
        Ok(()) => {}
        Err(problem) => tracing::error!("the keyring stays as it was: {problem:#}"),
    }
}

/// Keeps to what is registered.
async fn watch_clients(service: Arc<DeviceGrant>, mut registered: Registered) {
    let mut ticks = tokio::time::interval(registered::PERIOD);
    loop {
        ticks.tick().await;
        if let Err(problem) = registered.refresh(&service).await {
            tracing::warn!(error = %problem, "what has changed among the registered clients is not known");
        }
    }
}

async fn share_tally(service: Arc<DeviceGrant>) {
    let mut ticks = tokio::time::interval(TALLY_PERIOD);
    loop {
        ticks.tick().await;
        service.share_tally().await;
    }
}

/// Tells `/readyz` how the store is, and the log when that changes; whether it is good.
fn note(health: &Health, found: Result<(), StoreProblem>, was_good: bool) -> bool {
    match &found {
        Err(problem) if was_good => tracing::error!(%problem, "the store cannot be used"),
        Ok(()) if !was_good => tracing::info!("the store is back"),
        _ => {}
    }
    let good = found.is_ok();
    health.note_store(found);
    good
}

/// Tells the log what discovery says when that changes. That the pool is away the pool's client tells itself.
async fn watch_pool(service: Arc<DeviceGrant>, account_claim: String) {
    let mut ticks = tokio::time::interval(POOL_LOOK);
    let mut last = None;
    loop {
        ticks.tick().await;
        let facts = service.pool.facts().ok();
        if let Some(facts) = facts.filter(|facts| last != Some(*facts)) {
            tracing::info!(revokes = facts.revokes, "the user pool is known");
            if let Some(problem) = pairwise_problem(&service, facts, &account_claim) {
                tracing::error!("{problem}");
            }
            last = Some(facts);
        }
    }
}

/// Where two pool clients see one person under two names, nobody's account would ever match (CB-11).
fn pairwise_problem(service: &DeviceGrant, facts: PoolFacts, account_claim: &str) -> Option<String> {
    if !facts.pairwise_only || account_claim != "sub" {
        return None;
    }
    let clients = service.clients.all();
    let own = &with_own_pool_client(clients.iter().map(|client| &**client))?.id;
    Some(format!(
        "the user pool gives each of its clients another subject for one person, so the account can never match for \
         the client {own}, which has a pool client of its own: set upstream.account_claim to a claim that is the same \
         for all (Entra: oid), or share the service's pool client"
    ))
}

/// A device client with a pool client of its own, if there is one.
pub(super) fn with_own_pool_client<'a>(
    mut clients: impl Iterator<Item = &'a DeviceClient>,
) -> Option<&'a DeviceClient> {
    clients.find(|client| matches!(client.pool_client, PoolBinding::Own(_)))
}
