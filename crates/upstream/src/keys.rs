//! Key sets that are kept, refreshed, and looked for again when a token names an unknown key.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use device_grant_domain::Timestamp;
use device_grant_domain::jws::KeySet;
use device_grant_domain::pool::PoolProblem;
use tokio::sync::Mutex;
use url::Url;

use crate::http::Http;

/// The newest keys that could be had.
pub(crate) struct KeyStore {
    current: ArcSwapOption<KeySet>,
    /// Held while keys are looked for.
    search: Mutex<Search>,
}

/// The last look for keys.
#[derive(Default)]
struct Search {
    cool_until: Timestamp,
    problem: Option<PoolProblem>,
}

impl KeyStore {
    pub(crate) fn new() -> Self {
        Self { current: ArcSwapOption::empty(), search: Mutex::default() }
    }

    pub(crate) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Fetches the keys. Those that are known stay if it fails (UP-03).
    pub(crate) async fn load(
        &self,
        http: &Http,
        jwks_uri: &Url,
        within: Duration,
    ) -> Result<(), PoolProblem> {
        let problem = |what: &dyn std::fmt::Display| {
            PoolProblem(format!("the keys cannot be had from {jwks_uri}: {what}"))
        };
        let answer = http.get(jwks_uri, within).await.map_err(|error| problem(&error))?;
        if !answer.status.is_success() {
            return Err(problem(&format_args!("it answers {}", answer.status.as_u16())));
        }
        let keys = KeySet::read(&answer.body);
        let keys = keys.ok_or_else(|| problem(&"it has no key set with a usable signing key"))?;
        self.current.store(Some(Arc::new(keys)));
        Ok(())
    }

    /// Looks for keys newer than `seen`, in which a token's key was not found. Whoever comes while somebody looks gets
    /// what is found; whoever comes in the cool-down after it gets `None`, or the problem that it ended with.
    pub(crate) async fn newer_than(
        &self,
        seen: Option<&Arc<KeySet>>,
        (now, cool_down): (Timestamp, Duration),
        load: impl AsyncFnOnce(&Self) -> Result<(), PoolProblem>,
    ) -> Result<Option<Arc<KeySet>>, PoolProblem> {
        let mut search = self.search.lock().await;
        let current = self.current();
        let is_newer = match (&current, seen) {
            (Some(current), Some(seen)) => !Arc::ptr_eq(current, seen),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_newer {
            return Ok(current);
        }
        if now < search.cool_until {
            return search.problem.clone().map_or(Ok(None), Err);
        }
        // Also after a failure, and after a look that its caller gave up: whoever is away is not helped by more
        // requests.
        search.cool_until = now + cool_down;
        search.problem = Some(PoolProblem("the last look for the keys was broken off".to_owned()));
        search.problem = load(self).await.err();
        if let Some(problem) = &search.problem {
            return Err(problem.clone());
        }
        Ok(self.current())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set() -> Arc<KeySet> {
        // The key of RFC 7517 appendix A.1.
        let key = json!({
            "kty": "EC", "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        Arc::new(KeySet::read(json!({ "keys": [key] }).to_string().as_bytes()).unwrap())
    }

    /// UP-03: many who miss the same key cause one look, and all of them get what it found.
    #[tokio::test]
    async fn those_who_wait_for_a_look_share_it() {
        let store = KeyStore::new();
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let look = || {
            store.newer_than(
                None,
                (Timestamp::from_secs(100), Duration::from_secs(10)),
                async |store: &KeyStore| {
                    looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    store.current.store(Some(set()));
                    Ok(())
                },
            )
        };
        let (a, b, c) = tokio::join!(look(), look(), look());
        assert!([a, b, c].into_iter().all(|found| found.unwrap().is_some()));
        assert_eq!(looks.into_inner(), 1);
    }
}
