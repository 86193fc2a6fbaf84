//! The store in memory: plain maps under one lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use device_grant_domain::records::{Record, RecordKind, RecordStore};
use device_grant_domain::request::{DeviceRequest, StateName, Transition};
use device_grant_domain::store::{
    Consistency, CreateError, NewRequest, RequestStore, StoreProblem, TransitionError, Unavailable,
};
use device_grant_domain::{CounterKey, OnceKey, RequestId, Timestamp, UserCodeKey};

/// A store that lives as long as its process: for `device-grant demo`, and the oracle that the other stores are
/// compared with.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    requests: BTreeMap<RequestId, DeviceRequest>,
    user_codes: BTreeMap<UserCodeKey, Place>,
    spent: BTreeMap<OnceKey, Timestamp>,
    counters: BTreeMap<CounterKey, Counter>,
    records: BTreeMap<(RecordKind, String), (Record, Option<Timestamp>)>,
}

#[derive(Debug)]
struct Place {
    request: RequestId,
    free_from: Timestamp,
    forget_at: Timestamp,
}

#[derive(Debug)]
struct Counter {
    count: u32,
    forget_at: Timestamp,
}

impl MemoryStore {
    /// Forgets what may be forgotten at `now`. Nothing depends on it: it only keeps the store small (ST-06).
    pub fn sweep(&self, now: Timestamp) {
        let mut tables = self.lock();
        tables.requests.retain(|_, request| request.swept_at() > now);
        tables.user_codes.retain(|_, place| place.forget_at > now);
        tables.spent.retain(|_, forget_at| *forget_at > now);
        tables.counters.retain(|_, counter| counter.forget_at > now);
        tables.records.retain(|_, (_, forget_at)| forget_at.is_none_or(|at| at > now));
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // No change below is made in two steps that a panic could part, so what is there is whole.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RequestStore for MemoryStore {
    async fn create(&self, new: &NewRequest, now: Timestamp) -> Result<(), CreateError> {
        let mut tables = self.lock();
        let id = &new.request.id;
        for key in std::iter::once(&new.user_code).chain(&new.other_places) {
            let place = tables.user_codes.get(key);
            if place.is_some_and(|place| place.request != *id && place.free_from > now) {
                return Err(CreateError::UserCodeTaken);
            }
        }
        let free_from = new.user_code_reusable_at.max(new.request.expires_at);
        let forget_at = free_from.max(new.request.swept_at());
        tables.user_codes.insert(new.user_code.clone(), Place { request: id.clone(), free_from, forget_at });
        // What stands there already is this request, created before: it may have moved on since.
        tables.requests.entry(id.clone()).or_insert_with(|| new.request.clone());
        Ok(())
    }

    async fn load(&self, id: &RequestId, _: Consistency) -> Result<Option<DeviceRequest>, Unavailable> {
        Ok(self.lock().requests.get(id).cloned())
    }

    async fn find_by_user_code(&self, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Unavailable> {
        let tables = self.lock();
        // A place may still name an earlier request with the same code, so the latest one counts.
        let mut found: Vec<_> = places.iter().filter_map(|key| tables.user_codes.get(key)).collect();
        found.sort_by_key(|place| std::cmp::Reverse(place.free_from));
        Ok(found.into_iter().find_map(|place| tables.requests.get(&place.request)).cloned())
    }

    async fn transition(&self, transition: &Transition) -> Result<(), TransitionError> {
        let mut tables = self.lock();
        let present = tables.requests.get_mut(&transition.id).ok_or(TransitionError::NotFound)?;
        if present.op == transition.op {
            return Ok(());
        }
        if (present.state.name(), present.version) != (transition.expects, transition.expects_version) {
            return Err(TransitionError::Conflict(Box::new(present.clone())));
        }
        *present = present.after(transition);
        Ok(())
    }

    async fn slow_down(&self, id: &RequestId, interval: u32) -> Result<(), Unavailable> {
        if let Some(present) = self.lock().requests.get_mut(id)
            && matches!(present.state.name(), StateName::Pending | StateName::Authorized)
        {
            present.interval = present.interval.max(interval);
        }
        Ok(())
    }

    async fn count_from(&self, read: &DeviceRequest, from: Timestamp) -> Result<(), TransitionError> {
        let mut tables = self.lock();
        let present = tables.requests.get_mut(&read.id).ok_or(TransitionError::NotFound)?;
        if !present.has_pace_of(read) {
            return Err(TransitionError::Conflict(Box::new(present.clone())));
        }
        present.counted_from = Some(from);
        Ok(())
    }

    async fn spend(&self, key: &OnceKey, forget_at: Timestamp) -> Result<bool, Unavailable> {
        let mut tables = self.lock();
        let unspent = !tables.spent.contains_key(key);
        if unspent {
            tables.spent.insert(key.clone(), forget_at);
        }
        Ok(unspent)
    }

    async fn reserve(
        &self,
        counter: &CounterKey,
        limit: u32,
        forget_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        let mut tables = self.lock();
        let present = tables.counters.entry(counter.clone()).or_insert(Counter { count: 0, forget_at });
        let free = present.count < limit;
        if free {
            present.count += 1;
            present.forget_at = forget_at;
        }
        Ok(free)
    }

    async fn give_back(&self, counter: &CounterKey) -> Result<(), Unavailable> {
        if let Some(present) = self.lock().counters.get_mut(counter) {
            present.count = present.count.saturating_sub(1);
        }
        Ok(())
    }

    async fn add(&self, counter: &CounterKey, by: u32, forget_at: Timestamp) -> Result<u64, Unavailable> {
        let mut tables = self.lock();
        let present = tables.counters.entry(counter.clone()).or_insert(Counter { count: 0, forget_at });
        present.count = present.count.saturating_add(by);
        present.forget_at = forget_at;
        Ok(present.count.into())
    }

    async fn check(&self) -> Result<(), StoreProblem> {
        Ok(())
    }
}

#[async_trait]
impl RecordStore for MemoryStore {
    async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Unavailable> {
        Ok(self.lock().records.get(&(kind, id.to_owned())).map(|(record, _)| record.clone()))
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(String, Record)>, Unavailable> {
        let tables = self.lock();
        let of_kind = tables.records.iter().filter(|((of, _), _)| *of == kind);
        Ok(of_kind.map(|((_, id), (record, _))| (id.clone(), record.clone())).collect())
    }

    async fn put_record(
        &self,
        kind: RecordKind,
        id: &str,
        (data, replaces): (&str, u64),
        forget_at: Option<Timestamp>,
    ) -> Result<bool, Unavailable> {
        let mut tables = self.lock();
        let present = tables.records.get(&(kind, id.to_owned())).map_or(0, |(record, _)| record.version);
        if present == replaces {
            let record = Record { version: replaces + 1, data: data.to_owned() };
            tables.records.insert((kind, id.to_owned()), (record, forget_at));
        }
        Ok(present == replaces)
    }

    async fn remove_record(&self, kind: RecordKind, id: &str) -> Result<bool, Unavailable> {
        Ok(self.lock().records.remove(&(kind, id.to_owned())).is_some())
    }
}
