//! Clients that neither the configuration nor the store knows, looked up where somebody else keeps them: at the pool.
//!
//! What was found is kept for a while, and so is that there is nobody of a name. While the directory is away what was found
//! before goes on, and whoever was not looked up yet is not unknown.
//!
//! The directory counts questions against all of us together, and each replica counts its own: so one that is away, or that
//! throttles, is left alone by everybody here for a while.

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
use crate::time::{Clock, Timestamp};

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
/// As many of these are kept for clients that were found before: names without end do not keep them from being looked at again.
const KEPT_FOR_KNOWN: u32 = 3;
/// For how long nobody is asked for once the directory tells of nobody.
const REST: Duration = Duration::from_secs(5);

/// Whose sake a question is for, among the calls to the pool.
const CLIENT: &str = "client";

/// Where clients are looked up.
#[async_trait]
pub trait ClientSource: Send + Sync + 'static {
    /// The client `id`, or that there is none.
    async fn client(&self, id: &ClientId) -> Result<Option<DeviceClient>, SourceError>;
}

/// Why a source does not say.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It would tell of no other either: it is away, throttles us, or does not let us ask. It is left alone for a while.
    #[error(transparent)]
    Away(Box<dyn std::error::Error + Send + Sync>),
    /// It does not tell of this one.
    #[error(transparent)]
    Unclear(Box<dyn std::error::Error + Send + Sync>),
}

/// What was looked up so far.
pub(crate) struct Directory {
    source: Box<dyn ClientSource>,
    names: Mutex<HashMap<ClientId, Arc<Name>>>,
    questions: Mutex<Questions>,
}

/// How much is asked.
#[derive(Default)]
struct Questions {
    /// The second that is counted.
    second: u64,
    asked: u32,
    /// Until when nobody is asked for.
    rest_ends: Timestamp,
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
    pub(crate) async fn ask(&self, id: &ClientId, clock: &dyn Clock) -> Result<bool, NotSaid> {
        let name = self.name(id, clock.now())?;
        let before = name.found().map(|found| found.at);
        let mut not_before = name.not_before.lock().await;
        if let Some(found) = name.found().filter(|found| Some(found.at) != before) {
            return Ok(found.is_somebody());
        }
        let now = clock.now();
        if now < *not_before {
            return Err(NotSaid);
        }
        let is_known = name.found().is_some_and(|found| found.is_somebody());
        self.count_question(is_known, now)?;
        match self.source.client(id).await {
            Ok(client) => {
                let found = Found { client: client.map(Arc::new), at: now };
                *name.lock() = Some(found.clone());
                Ok(found.is_somebody())
            }
            // An answer that does not come takes its time.
            Err(SourceError::Away(problem)) => {
                if self.rest(clock.now()) {
                    let rest_s = REST.as_secs();
                    tracing::error!(error = %problem, rest_s, "no client can be looked up: nobody is asked for during a rest");
                }
                Err(NotSaid)
            }
            Err(SourceError::Unclear(problem)) => {
                tracing::error!(client = %id, error = %problem, "a client cannot be looked up");
                *not_before = clock.now() + PAUSE;
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

    /// Counts a question, unless it is one too many; strangers may ask fewer.
    fn count_question(&self, is_known: bool, now: Timestamp) -> Result<(), NotSaid> {
        let mut questions = self.lock_questions();
        if questions.second != now.as_secs() {
            (questions.second, questions.asked) = (now.as_secs(), 0);
        }
        let most = if is_known { MOST_QUESTIONS } else { MOST_QUESTIONS - KEPT_FOR_KNOWN };
        if now < questions.rest_ends || questions.asked >= most {
            return Err(NotSaid);
        }
        questions.asked += 1;
        Ok(())
    }

    /// Asks nobody for a while. Says whether a rest begins; questions that were under way only prolong it.
    fn rest(&self, now: Timestamp) -> bool {
        let mut questions = self.lock_questions();
        let begins = now >= questions.rest_ends;
        questions.rest_ends = now + REST;
        begins
    }

    fn lock_questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
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
        let asked = directory.ask(id, &*self.clock).await;
        if let (Some(network), Ok(true) | Err(_)) = (network, &asked) {
            self.give_pool_call_back(CLIENT, network);
        }
        asked.map(|_| ())
    }
}
