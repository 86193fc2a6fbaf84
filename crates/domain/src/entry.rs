//! A person enters a user code.

use device_grant_protocol::UserCode;

use crate::audit::{About, Event};
use crate::ids::{CounterKey, RequestId, UserCodeKey};
use crate::network::Network;
use crate::request::DeviceRequest;
use crate::service::DeviceGrant;
use crate::store::{Consistency, Unavailable};
use crate::time::Timestamp;

/// When more people than this have looked at one request, somebody may be sending its code around (SEC-15).
const FEW_VIEWERS: u32 = 3;

/// Who enters a code, as the limits count.
#[derive(Clone, Copy, Debug)]
pub struct Guesser<'a> {
    /// A person.
    pub who: Who<'a>,
    /// From where.
    pub network: Network,
}

/// What is known of a person who enters a code.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// Their account's id.
    Account(&'a str),
    /// Nobody has signed in yet: only the browser's session.
    Browser(&'a str),
}

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

/// What comes of characters that were to be typed from the device's screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypedEnd {
    /// They are the end of the code.
    Right,
    /// They are not.
    Wrong,
    /// Too many guesses: wait.
    TooMany,
}

impl<'a> Guesser<'a> {
    /// Adds this person to what the audit trail says.
    fn in_trail(self, about: About<'a>) -> About<'a> {
        let account = match self.who {
            Who::Account(id) => Some(id),
            Who::Browser(_) => None,
        };
        About { network: Some(self.network), account, ..about }
    }
}

impl DeviceGrant {
    /// Looks a typed code up. The guess is reserved before the look-up and given back on a hit.
    pub async fn enter(&self, guesser: Guesser<'_>, typed: &str) -> Result<Entry, Unavailable> {
        let Some(user_code) = self.settings.user_code.read(typed) else {
            return Ok(Entry::NoMatch);
        };
        let now = self.now();
        let about = guesser.in_trail(About::default());
        let Some(guess) = self.reserve_guess(guesser, now).await? else {
            self.audit(Event::View, "too_many_guesses", about);
            return Ok(Entry::TooMany);
        };
        let places = UserCodeKey::all(&user_code, &self.keyring);
        let found = self.store.find_by_user_code(&places).await?;
        let Some(request) = found.filter(|request| request.is_open(now).is_ok()) else {
            self.audit(Event::View, "no_match", about);
            return Ok(Entry::NoMatch);
        };
        self.give_back(&guess).await;
        let found = About { request: Some(&request.id), client: Some(&request.client_id), ..about };
        self.audit(Event::View, "shown", found);
        Ok(Entry::Found { request: Box::new(request), user_code })
    }

    /// Compares what was typed from the device's screen with the last `count` characters of `user_code`. A wrong entry
    /// counts as a guess, so that the rest of a code cannot be tried out.
    pub async fn check_end(
        &self,
        guesser: Guesser<'_>,
        request: &DeviceRequest,
        (user_code, count): (&UserCode, usize),
        typed: &str,
    ) -> Result<TypedEnd, Unavailable> {
        let about = guesser.in_trail(About::request(request));
        let Some(guess) = self.reserve_guess(guesser, self.now()).await? else {
            self.audit(Event::Authorize, "too_many_guesses", about);
            return Ok(TypedEnd::TooMany);
        };
        if !self.settings.user_code.is_end_of(user_code, count, typed) {
            self.audit(Event::Authorize, "wrong_characters", about);
            return Ok(TypedEnd::Wrong);
        }
        self.give_back(&guess).await;
        Ok(TypedEnd::Right)
    }

    /// Writes down that a policy of the client, `reason`, keeps a person from authorizing `request`.
    pub fn note_policy(&self, guesser: Guesser<'_>, request: &DeviceRequest, reason: &'static str) {
        self.audit(Event::Authorize, reason, guesser.in_trail(About::request(request)));
    }

    /// Counts one more person who looks at `request`; whether they are many by now. Best effort: a store that does not
    /// answer stops nobody.
    pub async fn is_seen_by_many(&self, request: &DeviceRequest) -> bool {
        let counter = CounterKey::viewers(&request.id, &self.keyring);
        match self.store.reserve(&counter, FEW_VIEWERS, request.expires_at).await {
            Ok(few) => {
                if !few {
                    self.audit_alarm(Event::View, "seen_by_many", About::request(request));
                }
                !few
            }
            Err(problem) => {
                tracing::warn!(error = %problem, "a look at a request was not counted");
                false
            }
        }
    }

    /// The request that a person was shown, as it is now; `None` when it is not open any more.
    pub async fn still_open(&self, id: &RequestId) -> Result<Option<DeviceRequest>, Unavailable> {
        let request = self.store.load(id, Consistency::Strong).await?;
        Ok(request.filter(|request| request.is_open(self.now()).is_ok()))
    }

    /// One guess on each counter, or none at all when one of them is full.
    async fn reserve_guess(
        &self,
        guesser: Guesser<'_>,
        now: Timestamp,
    ) -> Result<Option<[CounterKey; 2]>, Unavailable> {
        let counters = self.guess_counters(guesser, now);
        for (reserved, (counter, limit)) in counters.iter().enumerate() {
            if !self.store.reserve(counter, *limit, now + self.settings.lifetime * 2).await? {
                let taken: Vec<_> = counters[..reserved].iter().map(|(counter, _)| counter.clone()).collect();
                self.give_back(&taken).await;
                return Ok(None);
            }
        }
        Ok(Some(counters.map(|(counter, _)| counter)))
    }

    /// Best effort: a guess that is not given back costs its person one of many.
    async fn give_back(&self, counters: &[CounterKey]) {
        for counter in counters {
            if let Err(problem) = self.store.give_back(counter).await {
                tracing::warn!(error = %problem, "a guess was not given back");
            }
        }
    }

    /// The counters that a guess is reserved on, each with its limit. Many people share a network. Without accounts, of
    /// which nobody has many, all rests on the networks: those are counted wider, and fewer guesses are free.
    fn guess_counters(&self, guesser: Guesser<'_>, now: Timestamp) -> [(CounterKey, u32); 2] {
        let window = now.as_secs() / self.settings.lifetime.as_secs().max(1);
        let counter = |kind, who: &str| CounterKey::guesses(kind, who, window, &self.keyring);
        let (limits, network) = (&self.settings.guess_limits, guesser.network);
        match guesser.who {
            Who::Account(id) => [
                (counter("account", id), limits.per_account),
                (counter("network", &network.to_string()), limits.per_network),
            ],
            Who::Browser(session) => [
                (counter("browser", session), limits.per_browser),
                (counter("strangers", &network.wide()), limits.strangers_per_network),
            ],
        }
    }
}
