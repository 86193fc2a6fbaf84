//! A person enters a user code.

use device_grant_protocol::{DeviceCode, UserCode};

use crate::audit::{About, Event};
use crate::guesses::Guesser;
use crate::ids::{CounterKey, RequestId, UserCodeKey};
use crate::issued::{NotAsIssued, OpenRequest};
use crate::request::DeviceRequest;
use crate::service::DeviceGrant;
use crate::store::{Consistency, Unavailable};

/// When more people than this have looked at one request, somebody may be sending its code around (SEC-15).
const FEW_VIEWERS: u32 = 3;

/// What a typed code leads to.
#[derive(Debug)]
pub enum Entry {
    /// An open request, to be confirmed.
    Found {
        /// The request.
        request: Box<OpenRequest>,
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

impl DeviceGrant {
    /// Looks a typed code up for `guesser`. The guess is reserved before the look-up and given back on a hit.
    pub async fn enter(&self, guesser: Guesser<'_>, typed: &str) -> Result<Entry, Unavailable> {
        // No code was entered, so none was guessed.
        if typed.trim().is_empty() {
            return Ok(Entry::NoMatch);
        }
        // A code that was hidden under a key that this replica lacks would look like none.
        if let Some(key) = self.missing_key() {
            return Err(Unavailable(format!("the key {key} is not in this keyring").into()));
        }
        let about = guesser.in_trail(About::default());
        let Some(guess) = self.reserve_guess(guesser, self.now()).await? else {
            self.audit(Event::View, "too_many_guesses", about);
            return Ok(Entry::TooMany);
        };
        let user_code = self.settings.user_code.read(typed);
        // What cannot be a code is looked up all the same: it must not be told from one by what it costs (UC-08).
        let sought = user_code.clone().unwrap_or_else(|| UserCode::new(typed));
        let found = match self.look_up(&sought).await {
            Ok(found) => found,
            Err(unavailable) => {
                self.give_back(guess).await;
                return Err(unavailable);
            }
        };
        let Some((user_code, request)) = user_code.zip(found) else {
            self.tally.missed();
            self.audit(Event::View, "no_match", about);
            return Ok(Entry::NoMatch);
        };
        self.give_back(guess).await;
        self.audit(Event::View, "shown", guesser.in_trail(About::request(&request.request)));
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
            self.tally.missed();
            self.audit(Event::Authorize, "wrong_characters", about);
            return Ok(TypedEnd::Wrong);
        }
        self.give_back(guess).await;
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
    pub async fn still_open(
        &self,
        id: &RequestId,
        user_code: &UserCode,
    ) -> Result<Option<OpenRequest>, Unavailable> {
        self.opened(self.store.load(id, Consistency::Strong).await?, user_code).await
    }

    /// The open request of `user_code`. A code that leads nowhere costs the same two reads as one whose request is over.
    async fn look_up(&self, user_code: &UserCode) -> Result<Option<OpenRequest>, Unavailable> {
        let found = self.store.find_by_user_code(&UserCodeKey::all(user_code, &self.keyring)).await?;
        if found.is_none() {
            let nobodys = RequestId::of(&DeviceCode::new(user_code.expose()));
            self.store.load(&nobodys, Consistency::Strong).await?;
        }
        self.opened(found, user_code).await
    }

    /// `found`, if it is open and was issued with `user_code`.
    async fn opened(
        &self,
        found: Option<DeviceRequest>,
        user_code: &UserCode,
    ) -> Result<Option<OpenRequest>, Unavailable> {
        let Some(request) = found.filter(|request| request.is_open(self.now()).is_ok()) else {
            return Ok(None);
        };
        match self.issued_with(user_code, &request) {
            Ok(origin) => {
                let client = self.client(&request.client_id).await?;
                Ok(Some(OpenRequest { request, origin, client }))
            }
            Err(NotAsIssued::Altered) => Ok(None),
            Err(NotAsIssued::Unavailable(unavailable)) => Err(unavailable),
        }
    }
}
