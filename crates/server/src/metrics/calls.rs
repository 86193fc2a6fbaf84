//! Calls to the store and to the pool, counted and timed on their way.

use std::sync::Arc;

use async_trait::async_trait;
use device_grant_domain::pool::{
    AuthorizeTrip, Exchange, ExchangeError, PoolClient, PoolFacts, PoolProblem, PoolTokens, RefreshError,
    RevokeError, UserPool,
};
use device_grant_domain::records::{Record, RecordKind, RecordStore};
use device_grant_domain::request::{DeviceRequest, Transition};
use device_grant_domain::store::{
    Consistency, CreateError, NewRequest, RequestStore, StoreProblem, TransitionError, Unavailable,
};
use device_grant_domain::{CounterKey, OnceKey, RequestId, Timestamp, UserCodeKey};
use device_grant_protocol::{RefreshToken, Scope, TokenResponse};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;
use url::Url;

use super::BUCKETS;

/// The calls to one neighbour.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    count: Family<Call, Counter>,
    duration: Family<Name, Histogram, fn() -> Histogram>,
    at_once: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    call: &'static str,
}

/// A neighbour whose calls are counted.
pub(crate) struct Measured<T: ?Sized> {
    pub(crate) inner: Arc<T>,
    pub(crate) calls: Calls,
}

/// Takes a call off those under way, however it ends.
struct UnderWay<'a>(&'a Gauge);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Calls {
    fn default() -> Self {
        let duration = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self { count: Family::default(), duration, at_once: Gauge::default() }
    }
}

impl Calls {
    pub(super) fn register(&self, registry: &mut Registry, short: &str, long: &str) {
        let count = format!(
            "Calls to {long}: `done`, `refused` (it has answered, and it was a no), or `failed` (nobody knows)"
        );
        registry.register(format!("{short}_calls"), count, self.count.clone());
        let (name, help) = (format!("{short}_call_time"), format!("How long {long} took"));
        registry.register_with_unit(name, help, Unit::Seconds, self.duration.clone());
        let help = format!("Calls to {long} that are under way");
        registry.register(format!("{short}_calls_at_once"), help, self.at_once.clone());
    }

    async fn note<T, E: Fate>(
        &self,
        call: &'static str,
        made: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        self.at_once.inc();
        let under_way = UnderWay(&self.at_once);
        let outcome = made.await;
        drop(under_way);
        self.duration.get_or_create(&Name { call }).observe(began.elapsed().as_secs_f64());
        let fate = match &outcome {
            Ok(_) => "done",
            Err(error) if error.was_answered() => "refused",
            Err(_) => "failed",
        };
        self.count.get_or_create(&Call { call, outcome: fate }).inc();
        outcome
    }
}

/// What an error says of its call.
trait Fate {
    /// Whether the neighbour has answered.
    fn was_answered(&self) -> bool;
}

impl Fate for Unavailable {
    fn was_answered(&self) -> bool {
        false
    }
}

impl Fate for CreateError {
    fn was_answered(&self) -> bool {
        matches!(self, Self::UserCodeTaken)
    }
}

impl Fate for TransitionError {
    fn was_answered(&self) -> bool {
        !matches!(self, Self::Unavailable(_))
    }
}

impl Fate for StoreProblem {
    fn was_answered(&self) -> bool {
        !matches!(self, Self::Unavailable(_))
    }
}

impl Fate for PoolProblem {
    fn was_answered(&self) -> bool {
        false
    }
}

impl Fate for ExchangeError {
    fn was_answered(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }
}

impl Fate for RefreshError {
    fn was_answered(&self) -> bool {
        !matches!(self, Self::Unavailable(_))
    }
}

impl Fate for RevokeError {
    fn was_answered(&self) -> bool {
        !matches!(self, Self::Unavailable(_))
    }
}

#[async_trait]
impl RequestStore for Measured<dyn RequestStore> {
    async fn create(&self, new: &NewRequest, now: Timestamp) -> Result<(), CreateError> {
        self.calls.note("create", self.inner.create(new, now)).await
    }

    async fn load(&self, id: &RequestId, how: Consistency) -> Result<Option<DeviceRequest>, Unavailable> {
        let call = match how {
            Consistency::Eventual => "load",
            Consistency::Strong => "load_strong",
        };
        self.calls.note(call, self.inner.load(id, how)).await
    }

    async fn find_by_user_code(&self, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Unavailable> {
        self.calls.note("find_by_user_code", self.inner.find_by_user_code(places)).await
    }

    async fn transition(&self, transition: &Transition) -> Result<(), TransitionError> {
        self.calls.note("transition", self.inner.transition(transition)).await
    }

    async fn slow_down(&self, id: &RequestId, interval: u32) -> Result<(), Unavailable> {
        self.calls.note("slow_down", self.inner.slow_down(id, interval)).await
    }

    async fn count_from(&self, read: &DeviceRequest, from: Timestamp) -> Result<(), TransitionError> {
        self.calls.note("count_from", self.inner.count_from(read, from)).await
    }

    async fn spend(&self, key: &OnceKey, forget_at: Timestamp) -> Result<bool, Unavailable> {
        self.calls.note("spend", self.inner.spend(key, forget_at)).await
    }

    async fn reserve(
        &self,
        counter: &CounterKey,
        limit: u32,
        forget_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        self.calls.note("reserve", self.inner.reserve(counter, limit, forget_at)).await
    }

    async fn give_back(&self, counter: &CounterKey) -> Result<(), Unavailable> {
        self.calls.note("give_back", self.inner.give_back(counter)).await
    }

    async fn add(&self, counter: &CounterKey, by: u32, forget_at: Timestamp) -> Result<u64, Unavailable> {
        self.calls.note("add", self.inner.add(counter, by, forget_at)).await
    }

    async fn check(&self) -> Result<(), StoreProblem> {
        self.calls.note("check", self.inner.check()).await
    }
}

#[async_trait]
impl RecordStore for Measured<dyn RecordStore> {
    async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Unavailable> {
        self.calls.note("record", self.inner.record(kind, id)).await
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(String, Record)>, Unavailable> {
        self.calls.note("records", self.inner.records(kind)).await
    }

    async fn put_record(
        &self,
        kind: RecordKind,
        id: &str,
        what: (&str, u64),
        forget_at: Option<Timestamp>,
    ) -> Result<bool, Unavailable> {
        self.calls.note("put_record", self.inner.put_record(kind, id, what, forget_at)).await
    }

    async fn remove_record(&self, kind: RecordKind, id: &str) -> Result<bool, Unavailable> {
        self.calls.note("remove_record", self.inner.remove_record(kind, id)).await
    }
}

/// What answers from memory is not a call.
#[async_trait]
impl UserPool for Measured<dyn UserPool> {
    async fn authorize_url(&self, trip: AuthorizeTrip<'_>) -> Result<Url, PoolProblem> {
        self.inner.authorize_url(trip).await
    }

    async fn is_from_pool(&self, iss: Option<&str>) -> Result<bool, PoolProblem> {
        self.inner.is_from_pool(iss).await
    }

    async fn exchange(&self, exchange: Exchange<'_>) -> Result<PoolTokens, ExchangeError> {
        self.calls.note("exchange", self.inner.exchange(exchange)).await
    }

    async fn refresh(
        &self,
        client: &PoolClient,
        token: &RefreshToken,
        scope: Option<&Scope>,
    ) -> Result<TokenResponse, RefreshError> {
        self.calls.note("refresh", self.inner.refresh(client, token, scope)).await
    }

    async fn revoke(&self, client: &PoolClient, token: &str, hint: Option<&str>) -> Result<(), RevokeError> {
        self.calls.note("revoke", self.inner.revoke(client, token, hint)).await
    }

    async fn end_session_url(&self, client: &PoolClient, return_to: &Url) -> Option<Url> {
        self.inner.end_session_url(client, return_to).await
    }

    fn facts(&self) -> Result<PoolFacts, PoolProblem> {
        self.inner.facts()
    }

    fn trouble(&self) -> Option<PoolProblem> {
        self.inner.trouble()
    }
}
