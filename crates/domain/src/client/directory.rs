//! Clients that neither the configuration nor the store knows, looked up where somebody else keeps them: at the pool.
//!
//! What was found is kept for a while, and so is that there is nobody of a name. While the directory is away what was found
//! before goes on, and whoever was not looked up yet is not unknown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use device_grant_protocol::ClientId;
use tokio::sync::Mutex as Turn;

use super::DeviceClient;
use crate::network::Network;
use crate::service::DeviceGrant;
use crate::store::Unavailable;
use crate::time::Timestamp;

/// What was found is looked at again after this.
const FRESH: Duration = Duration::from_mins(5);
/// That there is nobody of a name is looked at again after this.
const NOBODY: Duration = Duration::from_mins(1);
/// What was found serves for this long while the directory is away.
const STALE: Duration = Duration::from_hours(1);
/// A client whose secret was refused is looked at anew no more often than this: it may have another by now.
const ANEW: Duration = Duration::from_secs(10);
/// A name whose question was not answered is not asked for again before this: everybody would wait for nothing.
const PAUSE: Duration = Duration::from_secs(5);
/// Names without end do not fill the memory.
const MOST_NAMES: usize = 10_000;
/// Questions in one second, however many ask: the directory counts them against us.
const MOST_QUESTIONS: u32 = 10;

/// Whose sake a question is for, among the calls to the pool.
const CLIENT: &str = "client";

/// Where clients are looked up.
#[async_trait]
pub trait ClientSource: Send + Sync + 'static {
    /// The client `id`, or that there is none.
    async fn client(&self, id: &ClientId) -> Result<Option<DeviceClient>, Unavailable>;
}

/// What was looked up so far.
pub(crate) struct Directory {
    source: Box<dyn ClientSource>,
    names: Mutex<HashMap<ClientId, Arc<Name>>>,
    questions: Mutex<(u64, u32)>,
}

/// Somebody, or nobody.
#[derive(Default)]
struct Name {
    found: Mutex<Option<Found>>,
    /// When it may be asked for. Held by the one who asks, while others wait for the answer.
    not_before: Turn<Timestamp>,
}

#[derive(Clone)]
struct Found {
    client: Option<Arc<DeviceClient>>,
    at: Timestamp,
}

impl Found {
    fn is_older_than(&self, age: Duration, now: Timestamp) -> bool {
        now.since(self.at) >= age
    }

    /// Whether nobody needs to ask.
    fn will_do(&self, now: Timestamp) -> bool {
        !self.is_older_than(if self.client.is_some() { FRESH } else { NOBODY }, now)
    }

    fn is_somebody(&self) -> bool {
        self.client.is_some()
    }
}

/// The directory cannot say now, or is not to be asked now.
#[derive(Debug)]
pub(crate) struct NotSaid;

impl Directory {
    pub(crate) fn new(source: Box<dyn ClientSource>) -> Self {
        Self { source, names: Mutex::default(), questions: Mutex::default() }
    }

    /// The client `id`, as far as memory has it.
    pub(crate) fn client(&self, id: &ClientId, now: Timestamp) -> Option<Arc<DeviceClient>> {
        self.found(id).filter(|found| !found.is_older_than(STALE, now))?.client
    }

    /// Whether it is known, and not too long ago, that there is nobody of this name.
    pub(crate) fn is_nobody(&self, id: &ClientId, now: Timestamp) -> bool {
        self.found(id).is_some_and(|found| !found.is_somebody() && found.will_do(now))
    }

    /// Whether to ask for `id`: what is in memory will not do.
    pub(crate) fn is_due(&self, id: &ClientId, now: Timestamp) -> bool {
        self.found(id).is_none_or(|found| !found.will_do(now))
    }

    /// Whether a client that was found may be another by now.
    pub(crate) fn may_have_changed(&self, id: &ClientId, now: Timestamp) -> bool {
        self.found(id).is_some_and(|found| found.is_somebody() && found.is_older_than(ANEW, now))
    }

    /// Asks for `id`, and says whether there is such a client. Whoever comes while somebody asks waits for that answer.
    pub(crate) async fn ask(&self, id: &ClientId, now: Timestamp) -> Result<bool, NotSaid> {
        let name = self.name(id, now)?;
        let before = name.found().map(|found| found.at);
        let mut not_before = name.not_before.lock().await;
        if let Some(found) = name.found().filter(|found| Some(found.at) != before) {
            return Ok(found.is_somebody());
        }
        if now < *not_before {
            return Err(NotSaid);
        }
        self.count_question(now)?;
        match self.source.client(id).await {
            Ok(client) => {
                let found = Found { client: client.map(Arc::new), at: now };
                *name.lock() = Some(found.clone());
                Ok(found.is_somebody())
            }
            Err(away) => {
                tracing::warn!(error = %away, "a client cannot be looked up");
                *not_before = now + PAUSE;
                Err(NotSaid)
            }
        }
    }

    fn found(&self, id: &ClientId) -> Option<Found> {
        self.lock_names().get(id)?.found()
    }

    /// The place of `id`, made where there is room.
    fn name(&self, id: &ClientId, now: Timestamp) -> Result<Arc<Name>, NotSaid> {
        let mut names = self.lock_names();
        if names.len() >= MOST_NAMES && !names.contains_key(id) {
            names.retain(|_, name| {
                name.found().is_some_and(|found| found.is_somebody() || found.will_do(now))
            });
            if names.len() >= MOST_NAMES {
                return Err(NotSaid);
            }
        }
        Ok(Arc::clone(names.entry(id.clone()).or_default()))
    }

    fn count_question(&self, now: Timestamp) -> Result<(), NotSaid> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if questions.0 != now.as_secs() {
            *questions = (now.as_secs(), 0);
        }
        if questions.1 >= MOST_QUESTIONS {
            return Err(NotSaid);
        }
        questions.1 += 1;
        Ok(())
    }

    fn lock_names(&self) -> MutexGuard<'_, HashMap<ClientId, Arc<Name>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Name {
    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self) -> Option<Found> {
        self.lock().clone()
    }
}

impl DeviceGrant {
    /// The client `id`, wherever it is known. An error is that nobody can say now.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Arc<DeviceClient>>, Unavailable> {
        // What is in memory may do although the directory does not answer.
        let _ = self.learn(id, None).await;
        let now = self.now();
        match self.clients.find(id, now) {
            None if self.clients.may_miss(id, now) => Err(Unavailable("the client is not known yet".into())),
            found => Ok(found),
        }
    }

    /// Asks the directory for `id`, if that is due. A name that it does not know counts against the network that brought it
    /// up; when those are too many nobody asks.
    pub(super) async fn learn(&self, id: &ClientId, network: Option<Network>) -> Result<(), NotSaid> {
        match self.clients.directory_for(id) {
            Some(directory) if directory.is_due(id, self.now()) => self.ask(directory, id, network).await,
            _ => Ok(()),
        }
    }

    /// Asks the directory again for a client whose secret was refused: it may have another by now. Says whether it was asked.
    pub(super) async fn learn_anew(&self, id: &ClientId, network: Network) -> bool {
        match self.clients.directory_for(id) {
            Some(directory) if directory.may_have_changed(id, self.now()) => {
                self.ask(directory, id, Some(network)).await.is_ok()
            }
            _ => false,
        }
    }

    async fn ask(
        &self,
        directory: &Directory,
        id: &ClientId,
        network: Option<Network>,
    ) -> Result<(), NotSaid> {
        if let Some(network) = network {
            self.reserve_pool_call(CLIENT, network).map_err(|_| NotSaid)?;
        }
        let asked = directory.ask(id, self.now()).await;
        if let (Some(network), Ok(true) | Err(_)) = (network, &asked) {
            self.give_pool_call_back(CLIENT, network);
        }
        asked.map(|_| ())
    }
}
