//! The pool itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use device_grant_domain::{Clock, Entropy, Timestamp};

use crate::config::{DevClient, DevPoolConfig, DevUser};
use crate::faults::Faults;
use crate::keys::{KeyRing, random_token};
use crate::ledger::Ledger;
use crate::pages::Pages;
use crate::request_log::RequestLog;
use crate::routes;

/// A development user pool. Clones are the same pool.
#[derive(Clone)]
pub struct DevPool(Arc<Inner>);

struct Inner {
    config: DevPoolConfig,
    issuer: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Instead of those in the configuration.
    secrets: Mutex<HashMap<String, Vec<String>>>,
    keys: Mutex<KeyRing>,
    ledger: Mutex<Ledger>,
    faults: Faults,
    requests: RequestLog,
    pages: Pages,
}

impl DevPool {
    /// A pool with fresh keys. Signing keys come from the crypto library's own generator, everything else that
    /// is random from `entropy`.
    pub fn new(config: DevPoolConfig, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let keys = KeyRing::generate(config.signing, &*entropy);
        let issuer = config.issuer.as_str().trim_end_matches('/').to_owned();
        Self(Arc::new(Inner {
            issuer,
            config,
            clock,
            entropy,
            secrets: Mutex::default(),
            keys: Mutex::new(keys),
            ledger: Mutex::default(),
            faults: Faults::default(),
            requests: RequestLog::default(),
            pages: Pages::new(),
        }))
    }

    /// Every endpoint, below the issuer's path.
    pub fn router(&self) -> Router {
        routes::router(self)
    }

    /// The issuer exactly as the metadata and the tokens name it: without a slash at the end.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// What the pool was told.
    pub fn config(&self) -> &DevPoolConfig {
        &self.0.config
    }

    /// The switches for faults.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// What reached the pool.
    pub fn requests(&self) -> &RequestLog {
        &self.0.requests
    }

    /// From now on the confidential client `client_id` may prove itself with any of `secrets`, and with no other.
    pub fn set_secrets(&self, client_id: &str, secrets: &[String]) {
        lock(&self.0.secrets).insert(client_id.to_owned(), secrets.to_vec());
    }

    /// Signs with a new key from now on; the old keys stay in the JWKS.
    pub fn rotate_keys(&self) {
        lock(&self.0.keys).rotate(self.0.config.signing, &*self.0.entropy);
    }

    /// Takes every key but the current one out of the JWKS.
    pub fn withdraw_old_keys(&self) {
        lock(&self.0.keys).withdraw_old();
    }

    /// Whether an access or refresh token of this pool is good: known, not expired, not revoked, not rotated away.
    pub fn is_live(&self, token: &str) -> bool {
        self.ledger().is_live(token, self.now())
    }

    /// An endpoint's URL.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.issuer)
    }

    pub(crate) fn client(&self, client_id: &str) -> Option<&DevClient> {
        self.0.config.clients.iter().find(|client| client.client_id == client_id)
    }

    /// What a client may prove itself with; nothing for a public one.
    pub(crate) fn secrets(&self, client: &DevClient) -> Vec<String> {
        let told = lock(&self.0.secrets).get(&client.client_id).cloned();
        told.unwrap_or_else(|| client.client_secret.iter().cloned().collect())
    }

    pub(crate) fn user(&self, username: &str) -> Option<&DevUser> {
        self.0.config.users.iter().find(|user| user.username == username)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn random_token(&self) -> String {
        random_token(&*self.0.entropy)
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, KeyRing> {
        lock(&self.0.keys)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.0.ledger)
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.0.pages
    }
}

impl fmt::Debug for DevPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevPool").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

/// Locks, also after a panic elsewhere: nothing here is left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
