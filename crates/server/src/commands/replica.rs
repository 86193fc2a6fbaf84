//! One replica while it serves: its background work, its connections, its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use device_grant_domain::client::{DeviceClient, PoolBinding};
use device_grant_domain::pool::PoolFacts;
use device_grant_domain::store::StoreProblem;
use device_grant_domain::{DeviceGrant, KeyMaterial, SystemEntropy, bytes};
use device_grant_upstream::OidcPool;
use device_grant_web::{Health, Load, SignIn, WebConfig, router};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::chores::{
    self, Chore, Chores, STORE_CHECK, ShareTally, Sweep, TendKeys, WatchClients, WatchPool, WatchPoolSecrets,
    WatchStore, note,
};
use crate::config::{Config, Network};
use crate::keyring_home::KeyringHome;
use crate::listen::Connections;
use crate::metrics::{Metrics, ReplicaState};
use crate::pool_secrets::PoolSecrets;
use crate::registered::Registered;
use crate::wiring::{self, Store};
use crate::{files, listen};

/// What is still under way when the last connection has ended. Orchestrators kill after half a minute in all; a cut-off
/// exchange is taken over by its device's next poll.
const LAST_TASKS: Duration = Duration::from_secs(3);
/// Scrapers are few.
const METRICS_CONNECTIONS: usize = 32;

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
        let router = self.router(&health, &load);
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

    /// Every endpoint, counted.
    pub(super) fn router(&self, health: &Arc<Health>, load: &Arc<Load>) -> Router {
        let (service, health, load) = (Arc::clone(&self.service), Arc::clone(health), Arc::clone(load));
        self.metrics.watch(router(service, health, load, self.web.clone()))
    }

    /// Work that never ends.
    async fn background(&mut self, health: &Arc<Health>) -> anyhow::Result<JoinSet<()>> {
        let mut background = JoinSet::new();
        for (first, chore) in self.chores(health).await? {
            background.spawn(chores::forever(first, chore));
        }
        let pool = Arc::clone(&self.pool);
        background.spawn(async move { pool.keep_fresh().await });
        Ok(background)
    }

    /// What is to be done beside the requests, and how soon at first; the pool's documents are kept fresh elsewhere. The
    /// store is looked at once before anybody is served.
    pub(super) async fn chores(&mut self, health: &Arc<Health>) -> anyhow::Result<Chores> {
        let (service, store) = (Arc::clone(&self.service), Arc::clone(&self.store));
        let first = service.store.check().await;
        if let Err(problem @ (StoreProblem::Missing { .. } | StoreProblem::Schema { .. })) = first {
            return Err(problem.into());
        }
        let good = note(health, first, true);
        let watch = WatchStore { service: Arc::clone(&service), health: Arc::clone(health), good };
        let mut chores: Chores = vec![(STORE_CHECK, Box::new(watch))];
        let mut at_once = |chore: Box<dyn Chore>| chores.push((Duration::ZERO, chore));
        at_once(Box::new(TendKeys::new(Arc::clone(&service), self.id.clone(), Arc::clone(&self.home))));
        if let Some(mut registered) = self.registered.take() {
            // Whom nobody knows yet is not unknown, but it is better to know them before the first request.
            if let Err(problem) = registered.refresh(&service).await {
                tracing::warn!(error = %problem, "the registered clients are not known yet");
            }
            at_once(Box::new(WatchClients { service: Arc::clone(&service), registered }));
        }
        if let Some(secrets) = self.pool_secrets.take() {
            at_once(Box::new(WatchPoolSecrets { service: Arc::clone(&service), secrets }));
        }
        at_once(Box::new(ShareTally(Arc::clone(&service))));
        at_once(Box::new(WatchPool { service, account_claim: self.account_claim.clone(), told: None }));
        at_once(Box::new(Sweep(store)));
        Ok(chores)
    }
}

/// Listens on `address`.
pub(super) async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Where two pool clients see one person under two names, nobody's account would ever match (CB-11).
pub(super) fn pairwise_problem(
    service: &DeviceGrant,
    facts: PoolFacts,
    account_claim: &str,
) -> Option<String> {
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
