//! A browser comes back from the user pool.

use std::sync::Arc;
use std::time::Duration;

use device_grant_protocol::AuthorizationCode;

use crate::audit::{About, Event};
use crate::commit::CommitError;
use crate::exchange::{ClaimedCode, Settled};
use crate::ids::{AttemptId, OnceKey, RequestId};
use crate::issued::NotAsIssued;
use crate::mailbox::Slot;
use crate::network::Network;
use crate::policy::SignInDemand;
use crate::pool::{Account, Exchange, ExchangeError};
use crate::request::{DeviceRequest, Refusal, RequestState, Standing};
use crate::service::DeviceGrant;
use crate::store::Consistency;
use crate::trip::{Trip, TripPurpose};

/// What sign-ins are counted as.
const SIGN_IN: &str = "sign-in";
/// What approvals are counted as.
const GRANT: &str = "grant";

/// What became of a person's decision, as far as that person's browser may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The device has its tokens, or will have them with its next poll.
    Approved,
    /// The device hears `access_denied`.
    Denied,
    /// The exchange is under way or waits for the pool.
    Pending,
    /// Nothing came of it; the request is open.
    TryAgain,
    /// Another account than the one that approved came back; the request is open.
    AccountDiffers,
    /// The sign-in was not of the kind that the client wants; the request is open.
    TooWeak,
    /// The codes ran out meanwhile.
    Expired,
    /// Somebody else decided.
    Taken,
}

/// Why a sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The callback was used before.
    #[error("the sign-in was finished before")]
    Spent,
    /// Too many sign-ins of this network brought nothing: wait.
    #[error("too many sign-ins from this network brought nothing")]
    TooMany(Duration),
    /// The pool refuses, or cannot be used: start again.
    #[error("the sign-in brought nothing")]
    Failed,
    /// The pool or the store does not answer: try again later.
    #[error("the pool or the store does not answer")]
    Unavailable,
}

impl DeviceGrant {
    /// Finishes a sign-in trip of a browser in `network`: who is it?
    pub async fn finish_sign_in(
        &self,
        trip: &Trip,
        code: &AuthorizationCode,
        network: Network,
    ) -> Result<Account, SignInError> {
        let signed_in = self.try_sign_in(trip, code, network).await;
        let (outcome, account) = match &signed_in {
            Ok(account) => ("signed_in", Some(account.id.as_str())),
            // A reload is no news.
            Err(SignInError::Spent) => return signed_in,
            Err(SignInError::TooMany(_)) => ("too_many", None),
            Err(SignInError::Failed) => ("failed", None),
            Err(SignInError::Unavailable) => ("unavailable", None),
        };
        self.audit(Event::SignIn, outcome, About { account, network: Some(network), ..About::default() });
        signed_in
    }

    async fn try_sign_in(
        &self,
        trip: &Trip,
        code: &AuthorizationCode,
        network: Network,
    ) -> Result<Account, SignInError> {
        self.reserve_pool_call(SIGN_IN, network).map_err(SignInError::TooMany)?;
        // Where nothing is asked of the pool nothing was asked in vain.
        self.spend_trip(trip).await.inspect_err(|_| self.give_pool_call_back(SIGN_IN, network))?;
        let redirect_uri = self.settings.redirect_uri();
        let client = &self.settings.service_client;
        let anything = SignInDemand::default();
        let exchange = self.pool.exchange(Exchange {
            client,
            redirect_uri: &redirect_uri,
            code,
            verifier: &trip.verifier,
            nonce: &trip.nonce,
            demand: &anything,
        });
        let exchanged = tokio::time::timeout(self.settings.exchange_deadline, exchange).await;
        let tokens = exchanged.map_err(|_| SignInError::Unavailable)?.map_err(|problem| {
            tracing::warn!(%problem, "a sign-in brought nothing");
            match problem {
                ExchangeError::Unreachable(_) => SignInError::Unavailable,
                ExchangeError::Refused | ExchangeError::TooWeak(_) | ExchangeError::Unusable(_) => {
                    SignInError::Failed
                }
            }
        })?;
        self.give_pool_call_back(SIGN_IN, network);
        Ok(tokens.account)
    }

    async fn spend_trip(&self, trip: &Trip) -> Result<(), SignInError> {
        match self.store.spend(&OnceKey::attempt(&trip.attempt), trip.ends_at).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(SignInError::Spent),
            Err(problem) => {
                tracing::warn!(error = %problem, "a sign-in cannot be finished");
                Err(SignInError::Unavailable)
            }
        }
    }

    /// Finishes a grant's trip: claims the request for this code, exchanges it, stores the tokens. A repeated callback
    /// exchanges nothing and hears what became of the first (CB-03). With the outcome comes who signed in, if this very
    /// call has learned it.
    pub async fn finish_grant(
        self: &Arc<Self>,
        trip: &Trip,
        code: AuthorizationCode,
        network: Network,
    ) -> (Outcome, Option<Account>) {
        let (request, claimed) = match self.claim_for(trip, code, network).await {
            Ok(claimed) => claimed,
            Err(outcome) => return (outcome, None),
        };
        let done = self.exchange_unhurried(request, claimed).await;
        if !matches!(done.0, Outcome::TryAgain | Outcome::Pending) {
            self.give_pool_call_back(GRANT, network);
        }
        done
    }

    async fn claim_for(
        &self,
        trip: &Trip,
        code: AuthorizationCode,
        network: Network,
    ) -> Result<(DeviceRequest, ClaimedCode), Outcome> {
        let TripPurpose::Grant { request: id, account, demand, .. } = &trip.purpose else {
            return Err(Outcome::TryAgain);
        };
        let request = self.present(id).await.ok_or(Outcome::TryAgain)?.ok_or(Outcome::Expired)?;
        if request.was_claimed_by(&trip.attempt) {
            return Err(self.outcome_for(&trip.attempt, &request));
        }
        // The token set goes where the request says: to its mailbox, for its client and its scope.
        let user_code = trip.user_code.as_ref().ok_or(Outcome::Expired)?;
        self.issued_with(user_code, &request).map_err(|problem| match problem {
            NotAsIssued::Altered => Outcome::Expired,
            NotAsIssued::Unavailable(_) => Outcome::TryAgain,
        })?;
        let client = self.client(&request.client_id).await;
        let client = client.map_err(|_| Outcome::TryAgain)?.ok_or(Outcome::Expired)?;
        let claimed = ClaimedCode {
            code,
            verifier: trip.verifier.clone(),
            nonce: trip.nonce.clone(),
            account: account.as_ref().map(|account| account.id.clone()),
            redirect_uri: self.settings.redirect_uri(),
            pool_client_id: self.pool_client(&client).client_id.clone(),
            demand: demand.clone(),
        };
        // Nothing is claimed for a call that will not be made: the person can try again.
        self.reserve_pool_call(GRANT, network).map_err(|_| Outcome::TryAgain)?;
        let claim = self.claim(&request, &trip.attempt, &claimed).await;
        let request = claim.inspect_err(|_| self.give_pool_call_back(GRANT, network))?;
        Ok((request, claimed))
    }

    /// The person said no at the pool (CB-06).
    pub async fn refused_at_pool(&self, trip: &Trip) -> Outcome {
        match &trip.purpose {
            TripPurpose::SignIn => Outcome::TryAgain,
            TripPurpose::Grant { request, .. } => self.deny(request).await,
        }
    }

    /// Denies the request `id`.
    pub async fn deny(&self, id: &RequestId) -> Outcome {
        let Some(request) = self.present(id).await else {
            return Outcome::TryAgain;
        };
        let Some(request) = request else {
            return Outcome::Expired;
        };
        let transition = match request.deny(self.now(), self.op()) {
            Ok(transition) => transition,
            Err(refusal) => return refused(refusal),
        };
        match self.commit(&transition).await {
            Ok(()) => {
                self.audit(Event::Deny, "denied", About::request(&request));
                Outcome::Denied
            }
            Err(CommitError::Lost(Some(present))) => {
                present.is_open(self.now()).err().map_or(Outcome::TryAgain, refused)
            }
            Err(CommitError::Lost(None)) => Outcome::Expired,
            Err(CommitError::Unavailable(_)) => Outcome::TryAgain,
        }
    }

    /// What became of the trip `attempt` of the request `id`.
    pub async fn outcome(&self, attempt: &AttemptId, id: &RequestId) -> Outcome {
        match self.present(id).await {
            Some(Some(request)) => self.outcome_for(attempt, &request),
            Some(None) => Outcome::Expired,
            None => Outcome::Pending,
        }
    }

    fn outcome_for(&self, attempt: &AttemptId, request: &DeviceRequest) -> Outcome {
        let latest = request.spent.last() == Some(attempt);
        match (&request.state, request.standing(self.now())) {
            (_, Standing::Expired) => Outcome::Expired,
            (RequestState::Denied, _) => Outcome::Denied,
            (RequestState::Approved(_) | RequestState::Redeemed(_), _) if latest => Outcome::Approved,
            (RequestState::Authorized(_), _) if latest => Outcome::Pending,
            (RequestState::Pending, _) => Outcome::TryAgain,
            _ => Outcome::Taken,
        }
    }

    /// `None` when the store does not answer.
    async fn present(&self, id: &RequestId) -> Option<Option<DeviceRequest>> {
        let read = self.store.load(id, Consistency::Strong).await;
        read.inspect_err(
            |problem| tracing::warn!(request = %id, error = %problem, "a request cannot be read"),
        )
        .ok()
    }

    async fn claim(
        &self,
        request: &DeviceRequest,
        attempt: &AttemptId,
        claimed: &ClaimedCode,
    ) -> Result<DeviceRequest, Outcome> {
        let plaintext = serde_json::to_vec(claimed).expect("strings always serialize");
        let slot = (&request.id, Slot::Claim);
        let sealed =
            request.mailbox.seal(&self.keyring, &*self.entropy, slot, &plaintext).map_err(|problem| {
                tracing::error!(request = %request.id, %problem, "a code cannot be sealed");
                Outcome::TryAgain
            })?;
        let when = (self.now(), self.settings.lease());
        let transition = request.claim(attempt, sealed, when, self.op()).map_err(refused)?;
        match self.commit(&transition).await {
            Ok(()) => Ok(request.after(&transition)),
            Err(CommitError::Lost(Some(present))) => Err(self.outcome_for(attempt, &present)),
            Err(CommitError::Lost(None)) => Err(Outcome::Expired),
            // If the write did happen a poll takes the code over when the lease has run out.
            Err(CommitError::Unavailable(_)) => Err(Outcome::Pending),
        }
    }

    /// Exchanges in a task of its own: a browser that goes away does not stop it half-way.
    async fn exchange_unhurried(
        self: &Arc<Self>,
        request: DeviceRequest,
        claimed: ClaimedCode,
    ) -> (Outcome, Option<Account>) {
        let (attempt, id) = (request.spent.last().cloned(), request.id.clone());
        let service = Arc::clone(self);
        let task = self.tasks.spawn(async move { service.settle(&request, &claimed).await });
        let outcome = match task.await {
            Ok(Settled::Approved(account)) => return (Outcome::Approved, Some(account)),
            Ok(Settled::TooWeak) => Outcome::TooWeak,
            Ok(Settled::AccountDiffers) => Outcome::AccountDiffers,
            Ok(Settled::Released) => Outcome::TryAgain,
            // Run out, decided by somebody else, or finished by a takeover: the request itself knows.
            Ok(Settled::Lost) => match attempt {
                Some(attempt) => self.outcome(&attempt, &id).await,
                None => Outcome::Taken,
            },
            Ok(Settled::Waiting) | Err(_) => Outcome::Pending,
        };
        (outcome, None)
    }
}

/// What a person is told whose decision comes too late.
fn refused(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::Expired | Refusal::TooManyAttempts => Outcome::Expired,
        Refusal::Decided(crate::request::StateName::Denied) => Outcome::Denied,
        Refusal::Decided(_) | Refusal::Held | Refusal::Fenced => Outcome::Taken,
        Refusal::Spent => Outcome::TryAgain,
    }
}
