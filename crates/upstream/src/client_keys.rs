//! The keys that device clients publish at their `jwks_uri` (RFC 7591 section 2).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use device_grant_domain::client::{ClientKeys, KeysUnavailable};
use device_grant_domain::jws::KeySet;
use device_grant_domain::{Clock, Entropy, Timestamp};
use url::Url;

use crate::config::{ConfigError, has_credentials, is_loopback};
use crate::http::{Bounds, Http};
use crate::keys::KeyStore;

/// A set is fetched again after this long, so that a key that its owner has withdrawn is not good for ever.
const KEPT_FOR: Duration = Duration::from_mins(15);
/// After a look for newer keys there is no other at the same place for this long: neither a forged `kid` nor a place that
/// is away becomes a storm of fetches.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// A poll waits for it.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: usize = 256 * 1024;

/// The key sets at a fixed list of places: those that the registrations of clients name. Nothing else is ever fetched.
pub struct RemoteKeys {
    places: BTreeMap<Url, Place>,
    clock: Arc<dyn Clock>,
}

struct Place {
    http: Http,
    keys: KeyStore,
    /// In milliseconds since the epoch; the start of it before anything was fetched.
    fetched_at: AtomicU64,
}

impl RemoteKeys {
    /// The places `uris`. Nothing is fetched yet.
    ///
    /// # Errors
    /// When one of them is not what [`RemoteKeys::accepts`], or the machine has no certificates to trust.
    pub fn new(
        uris: impl IntoIterator<Item = Url>,
        clock: Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let mut places = BTreeMap::new();
        for uri in uris {
            if !Self::accepts(&uri) {
                return Err(ConfigError::JwksUri);
            }
            let bounds = Bounds {
                connect_timeout: LONGEST_LOOK,
                total_timeout: LONGEST_LOOK,
                answer_limit: ANSWER_LIMIT,
                max_parallel_calls: 1,
                plain_http: uri.scheme() == "http",
            };
            let http = Http::new(&bounds, Arc::clone(&clock), Arc::clone(entropy))?;
            places.insert(uri, Place { http, keys: KeyStore::new(), fetched_at: AtomicU64::new(0) });
        }
        Ok(Self { places, clock })
    }

    /// Whether `uri` is one that keys are fetched from: https, or plain http on this machine; without credentials.
    pub fn accepts(uri: &Url) -> bool {
        let secure = uri.scheme() == "https" || (uri.scheme() == "http" && is_loopback(uri));
        secure && uri.has_host() && !has_credentials(uri) && uri.fragment().is_none()
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places.keys().map(Url::as_str)).finish()
    }
}

#[async_trait]
impl ClientKeys for RemoteKeys {
    async fn keys(
        &self,
        uri: &Url,
        seen: Option<&Arc<KeySet>>,
    ) -> Result<Option<Arc<KeySet>>, KeysUnavailable> {
        let place =
            self.places.get(uri).ok_or_else(|| KeysUnavailable(format!("{uri} is not registered")))?;
        let now = self.clock.now();
        if seen.is_some() {
            return place.newer_than(seen, uri, now).await;
        }
        match place.keys.current() {
            Some(current) if now < place.fetched_at() + KEPT_FOR => Ok(Some(current)),
            // What is old serves until there is something newer (UP-03).
            Some(current) => {
                Ok(place.newer_than(Some(&current), uri, now).await.ok().flatten().or(Some(current)))
            }
            None => place.newer_than(None, uri, now).await,
        }
    }
}

impl Place {
    async fn newer_than(
        &self,
        seen: Option<&Arc<KeySet>>,
        uri: &Url,
        now: Timestamp,
    ) -> Result<Option<Arc<KeySet>>, KeysUnavailable> {
        let load = async |keys: &KeyStore| {
            let loaded = keys.load(&self.http, uri, LONGEST_LOOK).await;
            match &loaded {
                Ok(()) => self.fetched_at.store(now.as_millis(), Ordering::Relaxed),
                Err(problem) => tracing::warn!(%problem, "a client's keys cannot be fetched"),
            }
            loaded
        };
        let newer = self.keys.newer_than(seen, (now, COOL_DOWN), load).await;
        newer.map_err(|problem| KeysUnavailable(problem.0))
    }

    fn fetched_at(&self) -> Timestamp {
        Timestamp::from_millis(self.fetched_at.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CA-15: keys come over https, or from this machine.
    #[test]
    fn keys_come_from_where_nobody_can_change_them() {
        let accepts = |uri: &str| RemoteKeys::accepts(&uri.parse().unwrap());
        for good in ["https://keys.example/jwks?v=1", "http://127.0.0.1:8080/jwks", "http://localhost/jwks"] {
            assert!(accepts(good), "{good}");
        }
        for bad in [
            "http://keys.example/jwks",
            "http://127.0.0.1.example/jwks",
            "https://me:pw@keys.example/",
            "https://keys.example/#a",
            "file:///etc/passwd",
            "data:application/json,{}",
        ] {
            assert!(!accepts(bad), "{bad}");
        }
    }
}
