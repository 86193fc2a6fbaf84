//! A device request: its states and its pure transitions.
//!
//! ```text
//!             +------ deny ------------------------------------------------------------> denied
//!  pending ---+--- claim (sealed, leased) ---> authorized --- approve ---> approved --- redeem ---> redeemed
//!      ^------- release -------------------------+                            ^--- keep waiting ------+
//!  pending, authorized, approved --- cancel (by the device) ---> cancelled
//! ```
//!
//! Only whoever wrote a redemption, could not learn whether it was done, and has let nothing out makes the tokens wait again.
//!
//! Nothing here reads a clock or a store. A transition is computed first and then committed as one conditional write
//! that names the state and version it expects; a second writer loses.

use std::time::Duration;

use device_grant_protocol::{ClientId, Scope};

use crate::ids::{AttemptId, KeyThumbprint, OpId, RequestId};
use crate::mailbox::MailboxKey;
use crate::time::Timestamp;

mod state;

pub use state::{Approval, Claim, Redelivery, RequestState, StateName};

/// Seconds that an approved request stays redeemable beyond one interval (TP-11).
pub const REDEEM_GRACE: Duration = Duration::from_secs(5);
/// How long after its end a request is still recognised as expired (TP-10), before the store sweeps it.
pub const REMEMBERED_FOR: Duration = Duration::from_hours(1);
/// How many trips to the pool one request may claim. More means that something is wrong with the pool, not the person.
pub const MAX_ATTEMPTS: usize = 8;

/// One device authorization request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// A hash of the device code.
    pub id: RequestId,
    /// The device's client.
    pub client_id: ClientId,
    /// What the device asked for; empty when it named no scope.
    pub asked_scope: Scope,
    /// What the pool will be asked for.
    pub scope: Scope,
    /// When the codes were issued.
    pub created_at: Timestamp,
    /// When an undecided request ends.
    pub expires_at: Timestamp,
    /// Seconds between polls at present; grows with each `slow_down`.
    pub interval: u32,
    /// The poll that the next one is counted from, where the pace is kept in the store; `None` before the first.
    pub counted_from: Option<Timestamp>,
    /// Where tokens will be put for the device.
    pub mailbox: MailboxKey,
    /// The key that the request is tied to: without it the device code is of no use (RFC 9449).
    pub dpop_jkt: Option<KeyThumbprint>,
    /// From where the request was made, sealed under a request key: for the confirmation page only.
    pub origin: Vec<u8>,
    /// Counts transitions.
    pub version: u64,
    /// The write that made this version.
    pub op: OpId,
    /// Grows with each claim and each takeover; an exchange may only be stored under the number it began with.
    pub fence: u64,
    /// The trips that have claimed this request so far; each may do so once (CB-03).
    pub spent: Vec<AttemptId>,
    /// Where it stands.
    pub state: RequestState,
}

/// One conditional write: what it expects, and what it makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The request.
    pub id: RequestId,
    /// The state that must stand there.
    pub expects: StateName,
    /// The version that must stand there.
    pub expects_version: u64,
    /// This write's id.
    pub op: OpId,
    /// The fence from now on.
    pub fence: u64,
    /// The spent trips from now on.
    pub spent: Vec<AttemptId>,
    /// The state from now on.
    pub becomes: RequestState,
}

/// Why a transition is not possible. None of these changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The codes have run out.
    #[error("the request has expired")]
    Expired,
    /// Somebody decided already.
    #[error("the request is {0:?}")]
    Decided(StateName),
    /// Another trip holds the lease.
    #[error("another attempt holds the request")]
    Held,
    /// This trip has had its turn.
    #[error("the attempt was used before")]
    Spent,
    /// Too many trips.
    #[error("too many attempts")]
    TooManyAttempts,
    /// The fence has moved on: somebody took the lease over.
    #[error("the lease was taken over")]
    Fenced,
}

/// What a poll finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is decided.
    Undecided,
    /// A code waits, and whoever had its lease has not come back: a poll may take over.
    Abandoned,
    /// Tokens wait.
    Redeemable,
    /// `access_denied`.
    Denied,
    /// `expired_token`.
    Expired,
    /// Handed over, and still there in case that the answer was lost.
    Redeliverable,
    /// `invalid_grant`: handed over before.
    Redeemed,
}

impl DeviceRequest {
    /// What a poll at `now` finds.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match &self.state {
            RequestState::Pending | RequestState::Authorized(_) if now >= self.expires_at => {
                Standing::Expired
            }
            RequestState::Authorized(claim) if now >= claim.lease_until => Standing::Abandoned,
            RequestState::Pending | RequestState::Authorized(_) => Standing::Undecided,
            RequestState::Approved(approval) if now >= approval.redeemable_until => Standing::Expired,
            RequestState::Approved(_) => Standing::Redeemable,
            RequestState::Redeemed(Some(kept)) if now < kept.until => Standing::Redeliverable,
            RequestState::Redeemed(_) => Standing::Redeemed,
            RequestState::Denied => Standing::Denied,
            RequestState::Cancelled => Standing::Expired,
        }
    }

    /// Whether polls at `now` are still told to wait.
    pub(crate) fn is_waiting(&self, now: Timestamp) -> bool {
        matches!(self.standing(now), Standing::Undecided | Standing::Abandoned)
    }

    /// Whether its polls are still told to wait, and are counted as `read` has it: what a store asks before it counts one.
    pub fn has_pace_of(&self, read: &Self) -> bool {
        let may_wait = matches!(self.state, RequestState::Pending | RequestState::Authorized(_));
        may_wait && (self.interval, self.counted_from) == (read.interval, read.counted_from)
    }

    /// Whether the holder of `key` may have what the request brings.
    pub fn is_open_to(&self, key: Option<&KeyThumbprint>) -> bool {
        self.dpop_jkt.as_ref().is_none_or(|tied_to| key == Some(tied_to))
    }

    /// Whether a person may still decide at `now` (UC-09).
    pub fn is_open(&self, now: Timestamp) -> Result<(), Refusal> {
        match &self.state {
            RequestState::Approved(_) | RequestState::Redeemed(_) | RequestState::Denied => {
                Err(Refusal::Decided(self.state.name()))
            }
            RequestState::Cancelled => Err(Refusal::Expired),
            _ if now >= self.expires_at => Err(Refusal::Expired),
            RequestState::Authorized(_) => Err(Refusal::Held),
            RequestState::Pending => Ok(()),
        }
    }

    /// The person says no, on the page or at the pool.
    pub fn deny(&self, now: Timestamp, op: OpId) -> Result<Transition, Refusal> {
        self.is_open(now)?;
        Ok(self.becomes(RequestState::Denied, op))
    }

    /// The device gives its code up. What is on its way from the pool is stored no more.
    pub fn cancel(&self, now: Timestamp, op: OpId) -> Result<Transition, Refusal> {
        match self.standing(now) {
            Standing::Undecided | Standing::Abandoned | Standing::Redeemable => {
                Ok(self.becomes(RequestState::Cancelled, op))
            }
            Standing::Expired => Err(Refusal::Expired),
            Standing::Denied | Standing::Redeliverable | Standing::Redeemed => {
                Err(Refusal::Decided(self.state.name()))
            }
        }
    }

    /// The trip `attempt` came back with a code, which `sealed` holds.
    pub fn claim(
        &self,
        attempt: &AttemptId,
        sealed: Vec<u8>,
        (now, lease): (Timestamp, Duration),
        op: OpId,
    ) -> Result<Transition, Refusal> {
        if self.spent.contains(attempt) {
            return Err(Refusal::Spent);
        }
        self.is_open(now)?;
        if self.spent.len() >= MAX_ATTEMPTS {
            return Err(Refusal::TooManyAttempts);
        }
        let claim = Claim { attempt: attempt.clone(), lease_until: now + lease, sealed };
        let mut transition = self.becomes(RequestState::Authorized(claim), op);
        transition.fence += 1;
        transition.spent.push(attempt.clone());
        Ok(transition)
    }

    /// The lease has run out and its holder has not come back: somebody else goes on with the same code.
    pub fn take_over(&self, (now, lease): (Timestamp, Duration), op: OpId) -> Result<Transition, Refusal> {
        let RequestState::Authorized(claim) = &self.state else {
            return Err(Refusal::Decided(self.state.name()));
        };
        match self.standing(now) {
            Standing::Abandoned => {
                let claim = Claim { lease_until: now + lease, ..claim.clone() };
                let mut transition = self.becomes(RequestState::Authorized(claim), op);
                transition.fence += 1;
                Ok(transition)
            }
            Standing::Expired => Err(Refusal::Expired),
            _ => Err(Refusal::Held),
        }
    }

    /// The exchange that began under `fence` brought tokens, which `sealed` holds.
    pub fn approve(
        &self,
        fence: u64,
        sealed: Vec<u8>,
        now: Timestamp,
        op: OpId,
    ) -> Result<Transition, Refusal> {
        let claim = self.held(fence)?;
        if now >= self.expires_at {
            return Err(Refusal::Expired);
        }
        let grace = Duration::from_secs(u64::from(self.interval)) + REDEEM_GRACE;
        let approval = Approval {
            attempt: claim.attempt.clone(),
            approved_at: now,
            redeemable_until: self.expires_at.max(now + grace),
            sealed,
        };
        Ok(self.becomes(RequestState::Approved(approval), op))
    }

    /// The exchange that began under `fence` failed for good: the person may try again.
    pub fn release(&self, fence: u64, op: OpId) -> Result<Transition, Refusal> {
        self.held(fence)?;
        Ok(self.becomes(RequestState::Pending, op))
    }

    /// The device takes its tokens.
    pub fn redeem(&self, now: Timestamp, op: OpId) -> Result<Transition, Refusal> {
        self.redeem_keeping(now, None, op)
    }

    /// The device takes its tokens, and can have the same again for as long as `window` says.
    pub fn redeem_keeping(
        &self,
        now: Timestamp,
        window: Option<Duration>,
        op: OpId,
    ) -> Result<Transition, Refusal> {
        match (&self.state, self.standing(now)) {
            (RequestState::Approved(approval), Standing::Redeemable) => {
                let kept =
                    window.map(|window| Redelivery { until: now + window, sealed: approval.sealed.clone() });
                Ok(self.becomes(RequestState::Redeemed(kept), op))
            }
            (_, Standing::Expired) => Err(Refusal::Expired),
            _ => Err(Refusal::Decided(self.state.name())),
        }
    }

    /// Nobody can tell whether the hand-over `write` of `before` was done, and nothing has left here: the tokens wait again,
    /// under a version that the write does not reach any more. If it was done and they can be fetched again, that may have
    /// happened elsewhere: then they stay handed over, and can be fetched for as long as they would have waited. `None` when
    /// somebody else has written since.
    pub fn keep_waiting(&self, before: &Self, write: &OpId, op: OpId) -> Option<Transition> {
        let (done, not_done) = (self.op == *write, self.version == before.version);
        let state = match (&self.state, &before.state) {
            (RequestState::Redeemed(Some(kept)), RequestState::Approved(approval)) => {
                let until = kept.until.max(approval.redeemable_until);
                RequestState::Redeemed(Some(Redelivery { until, ..kept.clone() }))
            }
            (_, before) => before.clone(),
        };
        (done || not_done).then(|| self.becomes(state, op))
    }

    /// Whether the trip `attempt` brought about where the request stands, or tried to.
    pub fn was_claimed_by(&self, attempt: &AttemptId) -> bool {
        self.spent.contains(attempt)
    }

    /// When the store may forget the request.
    pub fn swept_at(&self) -> Timestamp {
        let end = match &self.state {
            RequestState::Approved(approval) => approval.redeemable_until,
            _ => self.expires_at,
        };
        end + REMEMBERED_FOR
    }

    /// This request after `transition`, as the store's conditional write makes it.
    pub fn after(&self, transition: &Transition) -> Self {
        Self {
            version: self.version + 1,
            op: transition.op.clone(),
            fence: transition.fence,
            spent: transition.spent.clone(),
            state: transition.becomes.clone(),
            ..self.clone()
        }
    }

    fn held(&self, fence: u64) -> Result<&Claim, Refusal> {
        match &self.state {
            RequestState::Authorized(claim) if self.fence == fence => Ok(claim),
            RequestState::Authorized(_) => Err(Refusal::Fenced),
            other => Err(Refusal::Decided(other.name())),
        }
    }

    fn becomes(&self, becomes: RequestState, op: OpId) -> Transition {
        Transition {
            id: self.id.clone(),
            expects: self.state.name(),
            expects_version: self.version,
            op,
            fence: self.fence,
            spent: self.spent.clone(),
            becomes,
        }
    }
}

#[cfg(test)]
mod tests;
