//! What is good once, and guesses.

use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::store::RequestStore;
use device_grant_domain::{AttemptId, CounterKey, OnceKey};
use tokio::task::JoinSet;

use super::Store;
use super::samples::{START, once, unique};

const FORGET: Duration = Duration::from_mins(15);

/// What is good once is spent once, also when many bring it at once; nothing else is concerned, not even an assertion
/// whose id is that of a trip.
pub async fn what_is_good_once_is_spent_once(store: Store) {
    let (client, jti) = ("living-room-tv".parse().expect("a client_id"), unique("jti"));
    let trip = OnceKey::attempt(&AttemptId::from_stored(&jti));
    for key in [trip, OnceKey::assertion(&client, &jti), once()] {
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let (store, key) = (Arc::clone(&store), key.clone());
            tasks.spawn(async move { store.spend(&key, START + FORGET).await });
        }
        let spent = tasks.join_all().await;
        let firsts = spent.into_iter().filter(|first| *first.as_ref().expect("the store answers")).count();
        assert_eq!(firsts, 1);
        assert!(!store.spend(&key, START + FORGET).await.expect("the store answers"));
    }
}

/// Guesses are reserved up to the limit, each guesser's on its own; a raised limit lets more through.
pub async fn guesses_are_reserved_up_to_the_limit(store: Store) {
    let (one, other) = (counter(), counter());
    for guess in 0..5 {
        assert_eq!(reserve(&*store, &one, 3).await, guess < 3, "guess {guess}");
    }
    assert!(reserve(&*store, &other, 1).await);
    assert!(reserve(&*store, &one, 4).await);
    assert!(!reserve(&*store, &one, 4).await);
    assert!(!reserve(&*store, &counter(), 0).await);
}

/// Guesses made at once do not get past the limit together, nor do they stop below it.
pub async fn parallel_guesses_share_the_limit(store: Store) {
    for limit in [1, 7] {
        let key = counter();
        let mut tasks = JoinSet::new();
        for _ in 0..24 {
            let (store, key) = (Arc::clone(&store), key.clone());
            tasks.spawn(async move { reserve(&*store, &key, limit).await });
        }
        let through = tasks.join_all().await.into_iter().filter(|through| *through).count();
        assert_eq!(through, limit as usize);
    }
}

/// A guess that was given back can be made again, and giving back too often earns nothing.
pub async fn a_guess_given_back_is_free_again(store: Store) {
    let key = counter();
    give_back(&*store, &key).await;
    assert!(reserve(&*store, &key, 2).await);
    assert!(reserve(&*store, &key, 2).await);
    give_back(&*store, &key).await;
    assert!(reserve(&*store, &key, 2).await);
    for _ in 0..4 {
        give_back(&*store, &key).await;
    }
    assert!(reserve(&*store, &key, 2).await);
    assert!(reserve(&*store, &key, 2).await);
    assert!(!reserve(&*store, &key, 2).await);
}

/// What is added at once by many is all there, each is told a total that held, and adding nothing only reads.
pub async fn additions_add_up(store: Store) {
    let key = counter();
    assert_eq!(add(&*store, &key, 0).await, 0);
    let mut tasks = JoinSet::new();
    for by in 1..=20 {
        let (store, key) = (Arc::clone(&store), key.clone());
        tasks.spawn(async move { add(&*store, &key, by).await });
    }
    let mut told = tasks.join_all().await;
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 20, "two were told the same: {told:?}");
    assert_eq!(told.last(), Some(&210));
    assert_eq!(add(&*store, &key, 0).await, 210);
}

fn counter() -> CounterKey {
    CounterKey::from_stored(unique("account#1"))
}

async fn reserve(store: &dyn RequestStore, key: &CounterKey, limit: u32) -> bool {
    store.reserve(key, limit, START + FORGET).await.expect("the store answers")
}

async fn add(store: &dyn RequestStore, key: &CounterKey, by: u32) -> u64 {
    store.add(key, by, START + FORGET).await.expect("the store answers")
}

async fn give_back(store: &dyn RequestStore, key: &CounterKey) {
    store.give_back(key).await.expect("the store answers");
}
