//! A random sequence of operations, on a store and on the oracle: both must say the same.

use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::request::{DeviceRequest, Transition};
use device_grant_domain::store::{Consistency, CreateError, NewRequest, RequestStore, TransitionError};
use device_grant_domain::{AttemptId, CounterKey, OnceKey, Timestamp, UserCodeKey};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

use super::Store;
use super::samples::{LEASE, START, attempt, new_request, op, place, unique};

/// Runs `steps` random operations on `store` and on `oracle`, with few codes, trips and counters, so that they meet,
/// writers that hold old versions, and a clock that moves on. A failure names `seed` and the step.
pub async fn agrees_with_the_oracle(store: Store, oracle: Store, seed: u64, steps: usize) {
    let mut run = Run::new(store, oracle, seed);
    for step in 0..steps {
        let what = run.step().await;
        let (told, expected) = what.outcome;
        assert_eq!(told, expected, "seed {seed}, step {step}: {}", what.operation);
    }
    for request in &run.seen {
        let (one, other) = run.both(async |store| store.load(&request.id, Consistency::Strong).await).await;
        assert_eq!(one.expect("an answer"), other.expect("an answer"), "seed {seed}, at the end");
    }
}

struct Run {
    stores: [Store; 2],
    random: StdRng,
    now: Timestamp,
    places: Vec<UserCodeKey>,
    attempts: Vec<AttemptId>,
    counters: Vec<CounterKey>,
    /// Every version of every request so far.
    seen: Vec<DeviceRequest>,
    transitions: Vec<Transition>,
}

struct Step {
    operation: String,
    outcome: (String, String),
}

impl Run {
    fn new(store: Store, oracle: Store, seed: u64) -> Self {
        Self {
            stores: [store, oracle],
            random: StdRng::seed_from_u64(seed),
            now: START,
            places: (0..5).map(|_| place()).collect(),
            attempts: (0..12).map(|_| attempt()).collect(),
            counters: (0..2).map(|_| CounterKey::from_stored(unique("account"))).collect(),
            seen: Vec::new(),
            transitions: Vec::new(),
        }
    }

    async fn both<T>(&self, act: impl AsyncFn(Arc<dyn RequestStore>) -> T) -> (T, T) {
        let [store, oracle] = &self.stores;
        (act(Arc::clone(store)).await, act(Arc::clone(oracle)).await)
    }

    async fn step(&mut self) -> Step {
        self.now = self.now + Duration::from_secs(self.random.random_range(0..90));
        match self.random.random_range(0..20) {
            _ if self.seen.is_empty() => self.create().await,
            0..=2 => self.create().await,
            3..=4 => self.find().await,
            5 => self.slow_down().await,
            6 => self.count_poll().await,
            7 => self.spend().await,
            8..=9 => self.count().await,
            _ => self.transition().await,
        }
    }

    async fn create(&mut self) -> Step {
        let mut new = new_request();
        new.request.created_at = self.now;
        new.request.expires_at = self.now + Duration::from_secs(self.random.random_range(60..900));
        new.user_code_reusable_at = new.request.expires_at + Duration::from_mins(2);
        new.user_code = pick(&mut self.random, &self.places);
        if self.random.random_ratio(1, 4) {
            new.other_places = vec![pick(&mut self.random, &self.places)];
            new.other_places.retain(|place| *place != new.user_code);
        }
        let now = self.now;
        let outcome = self.both(async |store| told_of_create(&*store, &new, now).await).await;
        if outcome.1 == "created" {
            self.seen.push(new.request.clone());
        }
        Step { operation: format!("create {new:?} at {now}"), outcome }
    }

    async fn find(&mut self) -> Step {
        let count = self.random.random_range(1..=self.places.len());
        let places: Vec<_> = (0..count).map(|_| pick(&mut self.random, &self.places)).collect();
        let outcome = self.both(async |store| format!("{:?}", store.find_by_user_code(&places).await)).await;
        Step { operation: format!("find {places:?}"), outcome }
    }

    async fn slow_down(&mut self) -> Step {
        let id = pick(&mut self.random, &self.seen).id;
        let interval = self.random.random_range(1..60);
        let outcome = self
            .both(async |store| {
                let done = store.slow_down(&id, interval).await;
                format!("{done:?}: {:?}", store.load(&id, Consistency::Strong).await)
            })
            .await;
        Step { operation: format!("slow {id} down to {interval}"), outcome }
    }

    /// A poll that has read any version seen so far, or what stands there.
    async fn count_poll(&mut self) -> Step {
        let mut read = pick(&mut self.random, &self.seen);
        if self.random.random_bool(0.6) {
            let present = self.stores[1].load(&read.id, Consistency::Strong).await;
            read = present.expect("the oracle answers").expect("nothing was swept");
        }
        let now = self.now;
        let outcome = self
            .both(async |store| {
                let told = told(store.count_from(&read, now).await);
                format!("{told}: {:?}", store.load(&read.id, Consistency::Strong).await)
            })
            .await;
        Step { operation: format!("count {} from {now}", read.id), outcome }
    }

    async fn spend(&mut self) -> Step {
        let key = OnceKey::attempt(&pick(&mut self.random, &self.attempts));
        let forget_at = self.now + Duration::from_hours(1);
        let outcome = self.both(async |store| format!("{:?}", store.spend(&key, forget_at).await)).await;
        Step { operation: format!("spend {key}"), outcome }
    }

    async fn count(&mut self) -> Step {
        let counter = pick(&mut self.random, &self.counters);
        let forget_at = self.now + Duration::from_hours(1);
        let limit = self.random.random_range(0..6);
        let back = self.random.random_bool(0.4);
        let outcome = self
            .both(async |store| {
                if back {
                    format!("{:?}", store.give_back(&counter).await)
                } else {
                    format!("{:?}", store.reserve(&counter, limit, forget_at).await)
                }
            })
            .await;
        Step { operation: format!("{counter}: back {back}, limit {limit}"), outcome }
    }

    /// A transition that some version seen so far allows, which may be an old one; at times one that was tried before.
    async fn transition(&mut self) -> Step {
        let recent = self.seen.len().saturating_sub(8);
        let from = pick(&mut self.random, &self.seen[recent..]);
        let repeated = !self.transitions.is_empty() && self.random.random_ratio(1, 8);
        let next = if repeated { Some(pick(&mut self.random, &self.transitions)) } else { self.drawn(&from) };
        let Some(next) = next else {
            let outcome = self
                .both(async |store| format!("{:?}", store.load(&from.id, Consistency::Strong).await))
                .await;
            return Step { operation: format!("load {}", from.id), outcome };
        };
        let outcome = self.both(async |store| told(store.transition(&next).await)).await;
        if outcome.1 == "written" && !repeated {
            let present = self.stores[1].load(&next.id, Consistency::Strong).await;
            self.seen.extend(present.expect("the oracle answers"));
        }
        self.transitions.push(next.clone());
        Step { operation: format!("{next:?}"), outcome }
    }

    fn drawn(&mut self, from: &DeviceRequest) -> Option<Transition> {
        let sealed = vec![7; self.random.random_range(0..300)];
        let trip = pick(&mut self.random, &self.attempts);
        let now = if self.random.random_bool(0.5) { from.created_at } else { self.now };
        let possible = [
            from.claim(&trip, sealed.clone(), (now, LEASE), op()),
            from.deny(now, op()),
            from.take_over((self.now, LEASE), op()),
            from.approve(from.fence, sealed, now, op()),
            from.release(from.fence, op()),
            from.redeem(now, op()),
            from.redeem_keeping(now, Some(LEASE), op()),
        ];
        let possible: Vec<_> = possible.into_iter().flatten().collect();
        (!possible.is_empty()).then(|| pick(&mut self.random, &possible))
    }
}

fn pick<T: Clone>(random: &mut StdRng, from: &[T]) -> T {
    from[random.random_range(0..from.len())].clone()
}

async fn told_of_create(store: &dyn RequestStore, new: &NewRequest, now: Timestamp) -> String {
    match store.create(new, now).await {
        Ok(()) => "created".to_owned(),
        Err(CreateError::UserCodeTaken) => "taken".to_owned(),
        Err(CreateError::Unavailable(problem)) => panic!("{problem:?}"),
    }
}

fn told(outcome: Result<(), TransitionError>) -> String {
    match outcome {
        Ok(()) => "written".to_owned(),
        Err(TransitionError::Conflict(present)) => format!("conflict with {present:?}"),
        Err(TransitionError::NotFound) => "not found".to_owned(),
        Err(TransitionError::Unavailable(problem)) => panic!("{problem:?}"),
    }
}
