//! Work beside the requests, which is due again and again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use device_grant_domain::keys::KEYS_PERIOD;
use device_grant_domain::pool::PoolFacts;
use device_grant_domain::store::StoreProblem;
use device_grant_domain::{Clock as _, DeviceGrant, SystemClock, TALLY_PERIOD, Timestamp};
use device_grant_web::Health;

use super::replica::pairwise_problem;
use crate::keyring_home::KeyringHome;
use crate::pool_secrets::{self, PoolSecrets};
use crate::registered::{self, Registered};
use crate::wiring::Store;

pub(super) const STORE_CHECK: Duration = Duration::from_secs(10);
pub(super) const POOL_LOOK: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_mins(1);

/// Something that is to be done again and again.
#[async_trait]
pub(super) trait Chore: Send + 'static {
    /// Does it, and says after how long it is due again.
    async fn turn(&mut self) -> Duration;
}

/// Chores, each with the time until it is due at first.
pub(super) type Chores = Vec<(Duration, Box<dyn Chore>)>;

/// Does `chore` for as long as the process serves.
pub(super) async fn forever(first: Duration, mut chore: Box<dyn Chore>) {
    tokio::time::sleep(first).await;
    loop {
        let rest = chore.turn().await;
        tokio::time::sleep(rest).await;
    }
}

/// Tells `/readyz` how the store is.
pub(super) struct WatchStore {
    pub(super) service: Arc<DeviceGrant>,
    pub(super) health: Arc<Health>,
    /// What was found last: it is looked at before anybody is served.
    pub(super) good: bool,
}

#[async_trait]
impl Chore for WatchStore {
    async fn turn(&mut self) -> Duration {
        self.good = note(&self.health, self.service.store.check().await, self.good);
        STORE_CHECK
    }
}

/// Tells `/readyz` how the store is, and the log when that changes; whether it is good.
pub(super) fn note(health: &Health, found: Result<(), StoreProblem>, was_good: bool) -> bool {
    match &found {
        Err(problem) if was_good => tracing::error!(%problem, "the store cannot be used"),
        Ok(()) if !was_good => tracing::info!("the store is back"),
        _ => {}
    }
    let good = found.is_ok();
    health.note_store(found);
    good
}

/// Keeps to what stands where the keys live, and tells the other replicas of it.
pub(super) struct TendKeys {
    service: Arc<DeviceGrant>,
    /// What this one is called among the others.
    replica: String,
    home: Arc<KeyringHome>,
    /// When the keys are read again.
    reads_at: Timestamp,
}

impl TendKeys {
    pub(super) fn new(service: Arc<DeviceGrant>, replica: String, home: Arc<KeyringHome>) -> Self {
        Self { service, replica, home, reads_at: Timestamp::default() }
    }
}

#[async_trait]
impl Chore for TendKeys {
    async fn turn(&mut self) -> Duration {
        let now = SystemClock.now();
        if now >= self.reads_at {
            reload(&self.service, &self.home).await;
            self.reads_at = now + self.home.rest();
        }
        if let Err(problem) = self.service.tend_keys(&self.replica).await {
            tracing::debug!(error = %problem, "what other replicas hold is not known");
        }
        KEYS_PERIOD
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
pub(super) struct WatchClients {
    pub(super) service: Arc<DeviceGrant>,
    pub(super) registered: Registered,
}

#[async_trait]
impl Chore for WatchClients {
    async fn turn(&mut self) -> Duration {
        if let Err(problem) = self.registered.refresh(&self.service).await {
            tracing::warn!(error = %problem, "what has changed among the registered clients is not known");
        }
        registered::PERIOD
    }
}

/// Keeps the secrets of pool clients as they are where they are kept.
pub(super) struct WatchPoolSecrets {
    pub(super) service: Arc<DeviceGrant>,
    pub(super) secrets: PoolSecrets,
}

#[async_trait]
impl Chore for WatchPoolSecrets {
    async fn turn(&mut self) -> Duration {
        self.secrets.look(&self.service).await;
        pool_secrets::PERIOD
    }
}

/// Shares the counts of codes and guesses with the other replicas.
pub(super) struct ShareTally(pub(super) Arc<DeviceGrant>);

#[async_trait]
impl Chore for ShareTally {
    async fn turn(&mut self) -> Duration {
        self.0.share_tally().await;
        TALLY_PERIOD
    }
}

/// Tells the log what discovery says when that changes. That the pool is away the pool's client tells itself.
pub(super) struct WatchPool {
    pub(super) service: Arc<DeviceGrant>,
    pub(super) account_claim: String,
    /// What it has told.
    pub(super) told: Option<PoolFacts>,
}

#[async_trait]
impl Chore for WatchPool {
    async fn turn(&mut self) -> Duration {
        let facts = self.service.pool.facts().ok();
        if let Some(facts) = facts.filter(|facts| self.told != Some(*facts)) {
            tracing::info!(revokes = facts.revokes, "the user pool is known");
            if let Some(problem) = pairwise_problem(&self.service, facts, &self.account_claim) {
                tracing::error!("{problem}");
            }
            self.told = Some(facts);
        }
        POOL_LOOK
    }
}

/// Lets the store forget what it may.
pub(super) struct Sweep(pub(super) Arc<Store>);

#[async_trait]
impl Chore for Sweep {
    async fn turn(&mut self) -> Duration {
        self.0.sweep(SystemClock.now()).await;
        SWEEP
    }
}
