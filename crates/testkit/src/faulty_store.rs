//! A store that misbehaves on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use device_grant_domain::request::{DeviceRequest, Transition};
use device_grant_domain::store::{
    Consistency, CreateError, NewRequest, RequestStore, StoreProblem, TransitionError, Unavailable,
};
use device_grant_domain::{CounterKey, OnceKey, RequestId, Timestamp, UserCodeKey};

/// A method of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`RequestStore::create`].
    Create,
    /// [`RequestStore::load`].
    Load,
    /// [`RequestStore::find_by_user_code`].
    Find,
    /// [`RequestStore::transition`].
    Transition,
    /// [`RequestStore::slow_down`].
    SlowDown,
    /// [`RequestStore::count_from`].
    CountFrom,
    /// [`RequestStore::spend`].
    Spend,
    /// [`RequestStore::reserve`].
    Reserve,
    /// [`RequestStore::give_back`].
    GiveBack,
    /// [`RequestStore::add`].
    Add,
}

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// Nothing is done, and nothing is known.
    Before,
    /// It is done, and nothing is known: the answer is lost.
    After,
}

/// Wraps a store; passes everything on until told otherwise.
pub struct FaultyStore {
    inner: Arc<dyn RequestStore>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    faults: HashMap<Call, Faults>,
    counts: HashMap<Call, u32>,
    /// What eventual reads show for ever, once switched on.
    stale: Option<HashMap<RequestId, Option<DeviceRequest>>>,
    blind: bool,
    altered: Option<Alteration>,
}

/// Of the next calls some go well, and then some fail.
struct Faults {
    fault: StoreFault,
    well: u32,
    left: u32,
}

type Alteration = Box<dyn Fn(&mut DeviceRequest) + Send>;

impl FaultyStore {
    /// A well-behaved wrapper of `inner`.
    pub fn new(inner: Arc<dyn RequestStore>) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// The next `times` calls of `call` fail.
    pub fn fail(&self, call: Call, fault: StoreFault, times: u32) {
        self.fail_after(0, call, fault, times);
    }

    /// Of the next calls of `call`, `well` go well, and `times` fail.
    pub fn fail_after(&self, well: u32, call: Call, fault: StoreFault, times: u32) {
        self.plan().faults.insert(call, Faults { fault, well, left: times });
    }

    /// From now on every read shows a request as somebody has changed it who can write the table.
    pub fn alter(&self, change: impl Fn(&mut DeviceRequest) + Send + 'static) {
        self.plan().altered = Some(Box::new(change));
    }

    /// No call fails any more, and what is read is what was written.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.faults.clear();
        plan.altered = None;
    }

    /// From now on an eventual read shows what it showed the first time.
    pub fn freeze_eventual_reads(&self) {
        self.plan().stale.get_or_insert_default();
    }

    /// From now on an eventual read sees nothing: the writes have not reached that copy yet.
    pub fn blind_eventual_reads(&self) {
        self.plan().blind = true;
    }

    /// How often `call` was made.
    pub fn count(&self, call: Call) -> u32 {
        self.plan().counts.get(&call).copied().unwrap_or_default()
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().expect("no test panics while it holds the plan")
    }

    fn fault(&self, call: Call) -> Option<StoreFault> {
        let mut plan = self.plan();
        *plan.counts.entry(call).or_default() += 1;
        let faults = plan.faults.get_mut(&call).filter(|faults| faults.left > 0)?;
        if faults.well > 0 {
            faults.well -= 1;
            return None;
        }
        faults.left -= 1;
        Some(faults.fault)
    }

    fn as_altered(&self, read: Option<DeviceRequest>) -> Option<DeviceRequest> {
        let plan = self.plan();
        let mut request = read?;
        if let Some(change) = &plan.altered {
            change(&mut request);
        }
        Some(request)
    }

    async fn run<T, E: From<Unavailable>>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.fault(call) {
            None => work.await,
            Some(StoreFault::Before) => Err(unavailable().into()),
            Some(StoreFault::After) => {
                let _ = work.await;
                Err(unavailable().into())
            }
        }
    }
}

fn unavailable() -> Unavailable {
    Unavailable("the test made this call fail".into())
}

#[async_trait]
impl RequestStore for FaultyStore {
    async fn create(&self, new: &NewRequest, now: Timestamp) -> Result<(), CreateError> {
        self.run(Call::Create, self.inner.create(new, now)).await
    }

    async fn load(
        &self,
        id: &RequestId,
        consistency: Consistency,
    ) -> Result<Option<DeviceRequest>, Unavailable> {
        let read = self.as_altered(self.run(Call::Load, self.inner.load(id, consistency)).await?);
        let mut plan = self.plan();
        if plan.blind && consistency == Consistency::Eventual {
            return Ok(None);
        }
        match (&mut plan.stale, consistency) {
            (Some(stale), Consistency::Eventual) => Ok(stale.entry(id.clone()).or_insert(read).clone()),
            _ => Ok(read),
        }
    }

    async fn find_by_user_code(&self, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Unavailable> {
        Ok(self.as_altered(self.run(Call::Find, self.inner.find_by_user_code(places)).await?))
    }

    async fn transition(&self, transition: &Transition) -> Result<(), TransitionError> {
        self.run(Call::Transition, self.inner.transition(transition)).await
    }

    async fn slow_down(&self, id: &RequestId, interval: u32) -> Result<(), Unavailable> {
        self.run(Call::SlowDown, self.inner.slow_down(id, interval)).await
    }

    async fn count_from(&self, read: &DeviceRequest, from: Timestamp) -> Result<(), TransitionError> {
        self.run(Call::CountFrom, self.inner.count_from(read, from)).await
    }

    async fn spend(&self, key: &OnceKey, forget_at: Timestamp) -> Result<bool, Unavailable> {
        self.run(Call::Spend, self.inner.spend(key, forget_at)).await
    }

    async fn reserve(
        &self,
        counter: &CounterKey,
        limit: u32,
        forget_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        self.run(Call::Reserve, self.inner.reserve(counter, limit, forget_at)).await
    }

    async fn give_back(&self, counter: &CounterKey) -> Result<(), Unavailable> {
        self.run(Call::GiveBack, self.inner.give_back(counter)).await
    }

    async fn add(&self, counter: &CounterKey, by: u32, forget_at: Timestamp) -> Result<u64, Unavailable> {
        self.run(Call::Add, self.inner.add(counter, by, forget_at)).await
    }

    async fn check(&self) -> Result<(), StoreProblem> {
        self.inner.check().await
    }
}
