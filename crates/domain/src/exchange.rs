//! The exchange of the pool's code, under a lease and a fencing number.
//!
//! Exactly one holder exchanges at a time. A second exchange of one code would make pools revoke the tokens of the
//! first, so nobody sends one without the lease, and nobody stores its result unless the fence still stands.

use std::sync::Arc;
use std::time::Duration;

use device_grant_protocol::{
    AccessToken, AuthorizationCode, DeviceCode, Nonce, PkceVerifier, RefreshToken, TokenResponse,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::audit::{About, Event};
use crate::commit::CommitError;
use crate::keyring::OpenError;
use crate::mailbox::{self, Slot};
use crate::policy::SignInDemand;
use crate::pool::{Account, Exchange, ExchangeError, PoolClient, PoolTokens};
use crate::request::{DeviceRequest, RequestState, Transition};
use crate::service::DeviceGrant;
use crate::time::Timestamp;

/// The most bytes that may wait for a device: a DynamoDB item holds 400 kB, and the other attributes need room.
pub const MAX_PAYLOAD: usize = 256 * 1024;
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What a claim keeps in the mailbox until the exchange is done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClaimedCode {
    pub(crate) code: AuthorizationCode,
    pub(crate) verifier: PkceVerifier,
    pub(crate) nonce: Nonce,
    /// The account that was shown when the person approved; none where people sign in only after that.
    pub(crate) account: Option<String>,
    pub(crate) redirect_uri: Url,
    pub(crate) pool_client_id: String,
    /// A claim of a replica of the version before has none.
    #[serde(default)]
    pub(crate) demand: SignInDemand,
}

impl ClaimedCode {
    /// Whether the account that came back may be the one that approved (CB-11).
    fn is_for(&self, account: &Account) -> bool {
        self.account.as_ref().is_none_or(|shown| *shown == account.id)
    }
}

/// What an approval keeps in the mailbox until the hand-over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredTokens {
    pub(crate) response: TokenResponse,
    /// When the access token runs out; the wait is taken off its life at hand-over (TP-08).
    pub(crate) expires_at: Option<Timestamp>,
}

impl StoredTokens {
    /// Tokens that the pool gave at `now`.
    pub(crate) fn received(response: TokenResponse, now: Timestamp) -> Self {
        let expires_at = response.expires_in.map(|seconds| now + Duration::from_secs(seconds));
        Self { response, expires_at }
    }

    /// Nothing expired is handed over as good (TP-08), and these cannot be renewed.
    pub(crate) fn are_of_no_use(&self, now: Timestamp) -> bool {
        self.have_run_out(now) && self.response.refresh_token.is_none()
    }

    pub(crate) fn have_run_out(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at.since(now).as_secs() == 0)
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The tokens wait for the device, for this account.
    Approved(Account),
    /// Somebody else signed in at the pool than had approved. The request is open again.
    AccountDiffers,
    /// The sign-in was not of the kind that the client wants. The request is open again.
    TooWeak,
    /// The code brought nothing. The request is open again.
    Released,
    /// Not known yet: the pool or the store does not answer. A later poll goes on.
    Waiting,
    /// The request was decided otherwise meanwhile; tokens that came were revoked.
    Lost,
}

impl DeviceGrant {
    /// Exchanges `claimed` for the claim that stands in `request`, and stores what comes.
    pub(crate) async fn settle(self: &Arc<Self>, request: &DeviceRequest, claimed: &ClaimedCode) -> Settled {
        let client = match self.client(&request.client_id).await {
            Ok(Some(client)) => client,
            Ok(None) => return self.release(request).await,
            Err(_) => return Settled::Waiting,
        };
        let pool_client = self.pool_client(&client);
        if pool_client.client_id != claimed.pool_client_id {
            return self.release(request).await;
        }
        // Sent too late, an answer could come when somebody else holds the lease.
        let lease_until = lease_of(request);
        if self.now() + self.settings.exchange_time() > lease_until {
            return Settled::Waiting;
        }
        let exchange = self.pool.exchange(Exchange {
            client: pool_client,
            redirect_uri: &claimed.redirect_uri,
            code: &claimed.code,
            verifier: &claimed.verifier,
            nonce: &claimed.nonce,
            demand: &claimed.demand,
        });
        let outcome = tokio::time::timeout(self.settings.exchange_deadline, exchange).await;
        match outcome.unwrap_or_else(|_| Err(ExchangeError::Unreachable("no answer in time".to_owned()))) {
            Ok(tokens) if claimed.is_for(&tokens.account) => {
                self.store_tokens(request, pool_client, tokens).await
            }
            Ok(tokens) => {
                let about = About { account: Some(&tokens.account.id), ..About::request(request) };
                self.audit_alarm(Event::Failure, "account_differs", about);
                self.drop_tokens(pool_client, Unwanted::of(&tokens.response)).await;
                self.release_because(request, Settled::AccountDiffers).await
            }
            Err(ExchangeError::Unreachable(cause)) => {
                tracing::warn!(request = %request.id, %cause, "the pool did not answer an exchange");
                Settled::Waiting
            }
            Err(problem) => {
                tracing::warn!(request = %request.id, %problem, "an exchange brought nothing");
                self.exchange_failed(request, &problem).await
            }
        }
    }

    async fn exchange_failed(&self, request: &DeviceRequest, problem: &ExchangeError) -> Settled {
        let (outcome, settled) = match problem {
            ExchangeError::TooWeak(_) => ("too_weak", Settled::TooWeak),
            _ => ("exchange", Settled::Released),
        };
        self.audit(Event::Failure, outcome, About::request(request));
        self.release_because(request, settled).await
    }

    async fn release_because(&self, request: &DeviceRequest, reason: Settled) -> Settled {
        match self.release(request).await {
            Settled::Released => reason,
            other => other,
        }
    }

    /// Goes on with a code whose holder has not come back, beside the poll that noticed (design: takeover).
    pub(crate) fn take_over_later(self: &Arc<Self>, request: &DeviceRequest, device_code: &DeviceCode) {
        let (service, request, device_code) = (Arc::clone(self), request.clone(), device_code.clone());
        self.tasks.spawn(async move { service.take_over(&request, &device_code).await });
    }

    async fn take_over(self: Arc<Self>, request: &DeviceRequest, device_code: &DeviceCode) {
        let RequestState::Authorized(claim) = &request.state else {
            return;
        };
        if let Err(problem) = self.as_issued(request) {
            tracing::error!(request = %request.id, %problem, "an exchange is not taken over");
            return;
        }
        let opened = mailbox::open(device_code, &self.keyring, (&request.id, Slot::Claim), &claim.sealed);
        if let Err(lacking @ OpenError::UnknownKey(_)) = opened {
            // Another replica has the key: the claim is good, and is left to that one.
            tracing::error!(request = %request.id, problem = %lacking, "a claimed code cannot be opened here");
            return;
        }
        let claimed = opened.ok().and_then(|bytes| serde_json::from_slice::<ClaimedCode>(&bytes).ok());
        // Each takeover waits longer than the one before, so that a pool that is away is not hammered.
        let rounds = u32::try_from(request.fence).unwrap_or(u32::MAX).clamp(1, 4);
        let Ok(transition) = request.take_over((self.now(), self.settings.lease() * rounds), self.op())
        else {
            return;
        };
        if self.commit(&transition).await.is_err() {
            return;
        }
        self.count(Event::TakeOver, "begun", &request.client_id);
        let request = request.after(&transition);
        let settled = if let Some(claimed) = claimed {
            self.settle(&request, &claimed).await
        } else {
            tracing::error!(request = %request.id, "a claimed code's mailbox does not open");
            self.release(&request).await
        };
        tracing::info!(request = %request.id, ?settled, "took an exchange over");
    }

    async fn store_tokens(
        self: &Arc<Self>,
        request: &DeviceRequest,
        pool_client: &PoolClient,
        tokens: PoolTokens,
    ) -> Settled {
        let now = self.now();
        let unwanted = Unwanted::of(&tokens.response);
        let account = tokens.account;
        let stored = StoredTokens::received(tokens.response, now);
        let plaintext = serde_json::to_vec(&stored).expect("strings and numbers always serialize");
        let slot = (&request.id, Slot::Tokens);
        let sealed = request.mailbox.seal(&self.keyring, &*self.entropy, slot, &plaintext).ok();
        let Some(sealed) = sealed.filter(|sealed| sealed.len() <= MAX_PAYLOAD) else {
            tracing::error!(request = %request.id, size = plaintext.len(), "a token set cannot be kept");
            self.drop_tokens(pool_client, unwanted).await;
            return self.release(request).await;
        };
        let Ok(transition) = request.approve(request.fence, sealed, now, self.op()) else {
            self.drop_tokens(pool_client, unwanted).await;
            return Settled::Lost;
        };
        match self.commit(&transition).await {
            Ok(()) => self.approved(request, account),
            Err(CommitError::Lost(present)) if is_ours(&transition, present.as_deref()) => {
                self.approved(request, account)
            }
            Err(CommitError::Lost(_)) => {
                self.audit(Event::Failure, "lost_its_race", About::request(request));
                self.drop_tokens(pool_client, unwanted).await;
                Settled::Lost
            }
            Err(CommitError::Unavailable(unavailable)) => {
                tracing::error!(request = %request.id, error = %unavailable, "an approval is not stored yet");
                self.store_later(request, transition, account, (pool_client.clone(), unwanted));
                Settled::Waiting
            }
        }
    }

    fn approved(&self, request: &DeviceRequest, account: Account) -> Settled {
        let about = About { account: Some(&account.id), ..About::request(request) };
        self.audit(Event::Approve, "approved", about);
        Settled::Approved(account)
    }

    /// The store does not answer, and the tokens are here: go on trying as long as the lease lasts. If nothing helps the
    /// request is opened again, which also makes sure that a write still on its way cannot win, and the tokens are
    /// revoked (CB-15).
    fn store_later(
        self: &Arc<Self>,
        request: &DeviceRequest,
        transition: Transition,
        account: Account,
        (pool_client, unwanted): (PoolClient, Unwanted),
    ) {
        let (service, request) = (Arc::clone(self), request.clone());
        self.tasks.spawn(async move {
            let mut pause = SETTLE_PAUSE;
            while service.now() < lease_of(&request) {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                match service.commit(&transition).await {
                    Ok(()) => return drop(service.approved(&request, account)),
                    Err(CommitError::Lost(present)) if is_ours(&transition, present.as_deref()) => {
                        return drop(service.approved(&request, account));
                    }
                    Err(CommitError::Lost(_)) => return service.drop_tokens(&pool_client, unwanted).await,
                    Err(CommitError::Unavailable(_)) => {}
                }
            }
            let Ok(release) = request.release(request.fence, service.op()) else { return };
            while service.now() < request.expires_at {
                match service.commit(&release).await {
                    Err(CommitError::Lost(present)) if is_ours(&transition, present.as_deref()) => return,
                    Ok(()) | Err(CommitError::Lost(_)) => {
                        return service.drop_tokens(&pool_client, unwanted).await;
                    }
                    Err(CommitError::Unavailable(_)) => tokio::time::sleep(LONGEST_PAUSE).await,
                }
            }
        });
    }

    async fn release(&self, request: &DeviceRequest) -> Settled {
        let Ok(transition) = request.release(request.fence, self.op()) else {
            return Settled::Lost;
        };
        match self.commit(&transition).await {
            Ok(()) => Settled::Released,
            Err(CommitError::Lost(_)) => Settled::Lost,
            Err(CommitError::Unavailable(_)) => Settled::Waiting,
        }
    }

    pub(crate) async fn drop_tokens(&self, pool_client: &PoolClient, unwanted: Unwanted) {
        let (token, hint) = match &unwanted {
            Unwanted::Refresh(token) => (token.expose(), "refresh_token"),
            Unwanted::Access(token) => (token.expose(), "access_token"),
        };
        if let Err(problem) = self.pool.revoke(pool_client, token, Some(hint)).await {
            tracing::warn!(%problem, "tokens that nobody will get were not revoked");
        }
    }
}

/// What stands for a token set that nobody will get: at a pool, the end of a refresh token ends the rest too.
pub(crate) enum Unwanted {
    Refresh(RefreshToken),
    Access(AccessToken),
}

impl Unwanted {
    pub(crate) fn of(response: &TokenResponse) -> Self {
        let refresh = response.refresh_token.clone().map(Self::Refresh);
        refresh.unwrap_or_else(|| Self::Access(response.access_token.clone()))
    }
}

fn lease_of(request: &DeviceRequest) -> Timestamp {
    match &request.state {
        RequestState::Authorized(claim) => claim.lease_until,
        _ => Timestamp::default(),
    }
}

/// Only an approval under our fence leads to these states under our fence: so it was ours, though its operation id may
/// have been overwritten by the hand-over that followed.
fn is_ours(approval: &Transition, present: Option<&DeviceRequest>) -> bool {
    present.is_some_and(|present| {
        present.fence == approval.fence
            && matches!(present.state, RequestState::Approved(_) | RequestState::Redeemed(_))
    })
}
