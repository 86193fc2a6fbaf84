//! What is known of the pool, and how it is kept fresh.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use device_grant_domain::jws::{NotSigned, Refused};
use device_grant_domain::pool::{PoolFacts, PoolProblem};
use device_grant_domain::{Clock, Timestamp};
use tokio::sync::Mutex;
use url::Url;

use crate::config::OidcPoolConfig;
use crate::http::Http;
use crate::id_token::{self, Expected, IdToken, Signed};
use crate::keys::KeyStore;
use crate::metadata::Provider;

/// The wait after the first failed refresh; it doubles up to the longest.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(1);

/// The discovery document and the keys of the pool. The last good copy serves while a refresh fails (UP-02).
pub(crate) struct Directory {
    http: Arc<Http>,
    clock: Arc<dyn Clock>,
    config: Arc<OidcPoolConfig>,
    address: Url,
    provider: ArcSwapOption<Provider>,
    keys: KeyStore,
    /// Held while a refresh is under way, so that there is one at a time.
    schedule: Mutex<Schedule>,
    problem: StdMutex<Option<PoolProblem>>,
}

#[derive(Default)]
struct Schedule {
    due: Timestamp,
    failures: u32,
}

/// Why an ID token was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It is not what it should be.
    #[error("its ID token is refused: {0}")]
    Refused(#[from] Refused),
    /// Nobody can say: its key is not known, and newer keys cannot be had.
    #[error("its ID token cannot be checked: {0}")]
    NoKeys(PoolProblem),
}

impl Directory {
    pub(crate) fn new(
        (config, issuer): (Arc<OidcPoolConfig>, &Url),
        http: Arc<Http>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // OpenID Connect Discovery section 4.1: a slash at the end of the issuer gives way.
        let mut address = issuer.clone();
        address
            .set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
        Self {
            http,
            clock,
            config,
            address,
            provider: ArcSwapOption::empty(),
            keys: KeyStore::new(),
            schedule: Mutex::default(),
            problem: StdMutex::new(Some(PoolProblem("the user pool has not been asked yet".to_owned()))),
        }
    }

    /// What the accepted discovery document says, from memory.
    pub(crate) fn facts(&self) -> Result<PoolFacts, PoolProblem> {
        let provider = self.provider.load();
        provider.as_ref().map(|provider| provider.facts()).ok_or_else(|| self.no_document())
    }

    /// The accepted discovery document: from memory, or else fetched if that is due.
    pub(crate) async fn provider(&self) -> Result<Arc<Provider>, PoolProblem> {
        if let Some(provider) = self.provider.load_full() {
            return Ok(provider);
        }
        let outcome = self.refresh_if_due().await;
        let provider = self.provider.load_full();
        provider.ok_or_else(|| outcome.err().unwrap_or_else(|| self.no_document()))
    }

    /// The same, with keys in memory: nobody should spend a code who cannot check what comes for it.
    pub(crate) async fn provider_with_keys(&self) -> Result<Arc<Provider>, PoolProblem> {
        let provider = self.provider().await?;
        if self.keys.current().is_none() {
            self.refresh_if_due().await?;
        }
        Ok(provider)
    }

    /// Fetches document and keys if their time has come. Whoever comes while somebody else does waits for it.
    pub(crate) async fn refresh_if_due(&self) -> Result<(), PoolProblem> {
        let mut schedule = self.schedule.lock().await;
        if self.clock.now() >= schedule.due {
            self.refresh(&mut schedule).await;
        }
        self.last_problem().map_or(Ok(()), Err)
    }

    /// Fetches document and keys again and again; never returns.
    pub(crate) async fn keep_fresh(&self) {
        loop {
            let wait = {
                let mut schedule = self.schedule.lock().await;
                self.refresh(&mut schedule).await
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Checks an ID token in full. A key that is not known is looked for once, within the cool-down (UP-03).
    pub(crate) async fn check_id_token(
        &self,
        provider: &Provider,
        token: &str,
        expected: &Expected<'_>,
    ) -> Result<IdToken, NotTaken> {
        let token = id_token::read(token, &provider.algorithms)?;
        let unknown = Refused("it is signed with a key that the pool does not publish");
        let mut keys = self.keys.current();
        for is_last in [false, true] {
            let verify = |keys: &Arc<_>| Signed::verify(&token, keys);
            let outcome = keys.as_ref().map_or(Err(NotSigned::UnknownKey), verify);
            match outcome {
                Ok(signed) => return Ok(signed.judge(expected)?),
                Err(NotSigned::Refused(refused)) => return Err(refused.into()),
                Err(NotSigned::UnknownKey) if is_last => break,
                Err(NotSigned::UnknownKey) => {}
            }
            let when = (self.clock.now(), self.config.keys_cool_down);
            let load = async |keys: &KeyStore| {
                keys.load(&self.http, &provider.jwks_uri, self.config.side_call_timeout()).await
            };
            let newer = self.keys.newer_than(keys.as_ref(), when, load).await;
            keys = Some(newer.map_err(NotTaken::NoKeys)?.ok_or(unknown)?);
        }
        Err(unknown.into())
    }

    /// One refresh, and how long to wait for the next.
    async fn refresh(&self, schedule: &mut Schedule) -> Duration {
        let outcome = self.fetch().await;
        let wait = match &outcome {
            Ok(()) => {
                schedule.failures = 0;
                self.config.refresh_interval
            }
            Err(problem) => {
                tracing::warn!(%problem, failures = schedule.failures, "the user pool cannot be refreshed");
                let doubled = FIRST_BACK_OFF.saturating_mul(1 << schedule.failures.min(8));
                schedule.failures = schedule.failures.saturating_add(1);
                doubled.min(LONGEST_BACK_OFF)
            }
        };
        let wait = self.http.jittered(wait);
        schedule.due = self.clock.now() + wait;
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = outcome.err();
        wait
    }

    async fn fetch(&self) -> Result<(), PoolProblem> {
        let address = &self.address;
        let problem = |what: &dyn std::fmt::Display| {
            PoolProblem(format!("the pool's discovery document cannot be had from {address}: {what}"))
        };
        let answer = self.http.get(address, self.config.total_timeout).await;
        let answer = answer.map_err(|error| problem(&error))?;
        if !answer.status.is_success() {
            return Err(problem(&format_args!("it answers {}", answer.status.as_u16())));
        }
        let provider = Arc::new(Provider::accept(&answer.body, &self.config)?);
        self.provider.store(Some(Arc::clone(&provider)));
        self.keys.load(&self.http, &provider.jwks_uri, self.config.total_timeout).await
    }

    pub(crate) fn last_problem(&self) -> Option<PoolProblem> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A refresh ends without a problem only when it has stored a document, so there always is one to tell.
    fn no_document(&self) -> PoolProblem {
        self.last_problem().unwrap_or_else(|| PoolProblem("the user pool is being asked".to_owned()))
    }
}
