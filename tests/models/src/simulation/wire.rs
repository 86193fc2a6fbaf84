//! The store as one replica reaches it: calls take time, get lost on either way, and are done although given up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use device_grant_domain::request::{DeviceRequest, Transition};
use device_grant_domain::store::{
    Consistency, CreateError, NewRequest, RequestStore, StoreProblem, TransitionError, Unavailable,
};
use device_grant_domain::{CounterKey, OnceKey, RequestId, Timestamp, UserCodeKey};
use device_grant_store_embedded::MemoryStore;
use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::faults::{Fault, Faults};
use super::judge::Judge;
use super::life::Life;

/// How long an eventual read may be behind.
const LAG: Duration = Duration::from_secs(1);

/// The one store, with what it held a moment ago.
#[derive(Default)]
pub(crate) struct SharedStore {
    pub(crate) memory: Arc<MemoryStore>,
    history: Mutex<BTreeMap<RequestId, Vec<(Instant, DeviceRequest)>>>,
}

impl SharedStore {
    /// What stands there now.
    pub(crate) async fn present(&self, id: &RequestId) -> Option<DeviceRequest> {
        self.memory.load(id, Consistency::Strong).await.expect("memory is never away")
    }

    async fn note(&self, id: &RequestId) {
        if let Some(present) = self.present(id).await {
            let mut history = self.history.lock().expect("nothing panics with the history open");
            history.entry(id.clone()).or_default().push((Instant::now(), present));
        }
    }

    /// What stood there `lag` ago; nothing, if it was not there yet.
    fn past(&self, id: &RequestId, lag: Duration) -> Option<DeviceRequest> {
        let history = self.history.lock().expect("nothing panics with the history open");
        let versions = history.get(id)?;
        let then = versions.iter().rev().find(|(since, _)| since.elapsed() >= lag);
        then.map(|(_, request)| request.clone())
    }

    async fn apply(
        &self,
        transition: &Transition,
        (judge, by): (&Judge, &Life),
    ) -> Result<(), TransitionError> {
        let before = self.present(&transition.id).await;
        let done = self.memory.transition(transition).await;
        if let (Ok(()), Some(before)) = (&done, before) {
            judge.written(&before, transition, by);
            self.note(&transition.id).await;
        }
        done
    }
}

/// One replica's way to the store.
pub(crate) struct StoreLink {
    pub(crate) store: Arc<SharedStore>,
    pub(crate) life: Life,
    pub(crate) dice: Dice,
    pub(crate) faults: Arc<Faults>,
    pub(crate) judge: Arc<Judge>,
}

impl StoreLink {
    async fn call<T, E, F>(&self, work: impl Fn(Arc<SharedStore>, Arc<Judge>) -> F) -> Result<T, E>
    where
        E: From<Unavailable>,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let work = || work(Arc::clone(&self.store), Arc::clone(&self.judge));
        self.life.while_it_lasts(self.carried_out(work)).await
    }

    async fn carried_out<T, E, F>(&self, work: impl Fn() -> F) -> Result<T, E>
    where
        E: From<Unavailable>,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let [there, back] =
            [(); 2].map(|()| self.dice.time(Duration::from_millis(1)..Duration::from_millis(25)));
        sleep(there).await;
        if self.faults.store_is_away() {
            return Err(unavailable("away").into());
        }
        let answer = match self.faults.draw_for_store(&self.dice) {
            None => work().await,
            Some(Fault::Before) => return Err(unavailable("lost on the way there").into()),
            Some(Fault::After) => {
                let _ = work().await;
                return Err(unavailable("lost on the way back").into());
            }
            Some(Fault::Late) => {
                let (late, work) =
                    (self.dice.time(Duration::from_millis(10)..Duration::from_secs(40)), work());
                tokio::spawn(async move {
                    sleep(late).await;
                    let _ = work.await;
                });
                return Err(unavailable("given up").into());
            }
        };
        sleep(back).await;
        answer
    }
}

fn unavailable(words: &'static str) -> Unavailable {
    Unavailable(words.into())
}

#[async_trait]
impl RequestStore for StoreLink {
    async fn create(&self, new: &NewRequest, now: Timestamp) -> Result<(), CreateError> {
        self.call(|store, _| {
            let new = new.clone();
            async move {
                store.memory.create(&new, now).await?;
                store.note(&new.request.id).await;
                Ok(())
            }
        })
        .await
    }

    async fn load(
        &self,
        id: &RequestId,
        consistency: Consistency,
    ) -> Result<Option<DeviceRequest>, Unavailable> {
        let lag = self.dice.time(Duration::ZERO..LAG);
        self.call(|store, _| {
            let id = id.clone();
            async move {
                match consistency {
                    Consistency::Strong => store.memory.load(&id, consistency).await,
                    Consistency::Eventual => Ok(store.past(&id, lag)),
                }
            }
        })
        .await
    }

    async fn find_by_user_code(&self, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Unavailable> {
        self.call(|store, _| {
            let places = places.to_vec();
            async move { store.memory.find_by_user_code(&places).await }
        })
        .await
    }

    async fn transition(&self, transition: &Transition) -> Result<(), TransitionError> {
        self.call(|store, judge| {
            let (transition, life) = (transition.clone(), self.life.clone());
            async move { store.apply(&transition, (&judge, &life)).await }
        })
        .await
    }

    async fn slow_down(&self, id: &RequestId, interval: u32) -> Result<(), Unavailable> {
        self.call(|store, _| {
            let id = id.clone();
            async move {
                store.memory.slow_down(&id, interval).await?;
                store.note(&id).await;
                Ok(())
            }
        })
        .await
    }

    async fn count_from(&self, read: &DeviceRequest, from: Timestamp) -> Result<(), TransitionError> {
        self.call(|store, _| {
            let read = read.clone();
            async move {
                store.memory.count_from(&read, from).await?;
                store.note(&read.id).await;
                Ok(())
            }
        })
        .await
    }

    async fn spend(&self, key: &OnceKey, forget_at: Timestamp) -> Result<bool, Unavailable> {
        self.call(|store, _| {
            let key = key.clone();
            async move { store.memory.spend(&key, forget_at).await }
        })
        .await
    }

    async fn reserve(
        &self,
        counter: &CounterKey,
        limit: u32,
        forget_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        self.call(|store, _| {
            let counter = counter.clone();
            async move { store.memory.reserve(&counter, limit, forget_at).await }
        })
        .await
    }

    async fn give_back(&self, counter: &CounterKey) -> Result<(), Unavailable> {
        self.call(|store, _| {
            let counter = counter.clone();
            async move { store.memory.give_back(&counter).await }
        })
        .await
    }

    async fn add(&self, counter: &CounterKey, by: u32, forget_at: Timestamp) -> Result<u64, Unavailable> {
        self.call(|store, _| {
            let counter = counter.clone();
            async move { store.memory.add(&counter, by, forget_at).await }
        })
        .await
    }

    async fn check(&self) -> Result<(), StoreProblem> {
        self.store.memory.check().await
    }
}
