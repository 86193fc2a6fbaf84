//! A person enters a user code.

use device_grant_protocol::UserCode;

use crate::ids::{CounterKey, RequestId, UserCodeKey};
use crate::pool::Account;
use crate::request::DeviceRequest;
use crate::service::DeviceGrant;
use crate::store::{Consistency, Unavailable};
use crate::time::Timestamp;

/// What a typed code leads to.
#[derive(Debug)]
pub enum Entry {
    /// An open request, to be confirmed.
    Found {
        /// The request.
        request: Box<DeviceRequest>,
        /// The code in canonical form.
        user_code: UserCode,
    },
    /// Unknown, malformed, expired, used and denied codes are not told apart (UC-08).
    NoMatch,
    /// Too many guesses: wait.
    TooMany,
}

impl DeviceGrant {
    /// Looks a typed code up for the person `account` who comes from `network`. The guess is reserved before the
    /// look-up and given back on a hit.
    pub async fn enter(&self, account: &Account, network: &str, typed: &str) -> Result<Entry, Unavailable> {
        let Some(user_code) = self.settings.user_code.read(typed) else {
            return Ok(Entry::NoMatch);
        };
        let now = self.now();
        let guesses = self.guess_counters(account, network, now);
        for (reserved, (counter, limit)) in guesses.iter().enumerate() {
            if !self.store.reserve(counter, *limit, now + self.settings.lifetime * 2).await? {
                tracing::warn!("guesses of user codes refused");
                self.give_back(&guesses[..reserved]).await;
                return Ok(Entry::TooMany);
            }
        }
        let places = UserCodeKey::all(&user_code, &self.keyring);
        let found = self.store.find_by_user_code(&places).await?;
        let Some(request) = found.filter(|request| request.is_open(now).is_ok()) else {
            return Ok(Entry::NoMatch);
        };
        self.give_back(&guesses).await;
        Ok(Entry::Found { request: Box::new(request), user_code })
    }

    /// The request that a person was shown, as it is now; `None` when it is not open any more.
    pub async fn still_open(&self, id: &RequestId) -> Result<Option<DeviceRequest>, Unavailable> {
        let request = self.store.load(id, Consistency::Strong).await?;
        Ok(request.filter(|request| request.is_open(self.now()).is_ok()))
    }

    /// Best effort: a guess that is not given back costs its person one of many.
    async fn give_back(&self, guesses: &[(CounterKey, u32)]) {
        for (counter, _) in guesses {
            if let Err(problem) = self.store.give_back(counter).await {
                tracing::warn!(error = %problem, "a guess was not given back");
            }
        }
    }

    /// The counters that a guess is reserved on, each with its limit. Many people share a network.
    fn guess_counters(&self, account: &Account, network: &str, now: Timestamp) -> [(CounterKey, u32); 2] {
        let window = now.as_secs() / self.settings.lifetime.as_secs().max(1);
        let counter = |kind, who| CounterKey::guesses(kind, who, window, &self.keyring);
        [
            (counter("account", account.id.as_str()), self.settings.guess_limit),
            (counter("network", network), self.settings.guess_limit_per_network),
        ]
    }
}
