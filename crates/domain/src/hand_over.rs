//! Tokens leave, once.

use std::sync::Arc;
use std::time::Duration;

use device_grant_protocol::DeviceCode;

use crate::audit::{About, Event};
use crate::client::DeviceClient;
use crate::commit::CommitError;
use crate::dpop::Proof;
use crate::exchange::StoredTokens;
use crate::ids::OpId;
use crate::issued::NotAsIssued;
use crate::mailbox::{self, Slot};
use crate::network::Network;
use crate::poll::{PollOutcome, decided_outcome};
use crate::request::{DeviceRequest, RequestState};
use crate::service::DeviceGrant;
use crate::store::{Consistency, Unavailable};
use crate::time::Timestamp;

/// Between two looks at what became of a hand-over. Short: until it is known, another replica takes the tokens for gone.
const PAUSE: Duration = Duration::from_millis(250);

impl DeviceGrant {
    /// Opens the mailbox first and consumes the request last: the tokens leave only if this write won.
    pub(crate) async fn hand_over(
        self: &Arc<Self>,
        (client, proof): (&DeviceClient, Option<&Proof>),
        device_code: &DeviceCode,
        request: &DeviceRequest,
        now: Timestamp,
    ) -> Result<PollOutcome, Unavailable> {
        let RequestState::Approved(approval) = &request.state else {
            return Ok(PollOutcome::InvalidGrant);
        };
        let Some(tokens) = self.open_tokens(client, device_code, request, &approval.sealed)? else {
            return Ok(PollOutcome::InvalidGrant);
        };
        if tokens.are_of_no_use(now) {
            return Ok(PollOutcome::Expired);
        }
        let window = client.redelivery_window(request);
        let Ok(transition) = request.redeem_keeping(now, window, self.op()) else {
            return Ok(PollOutcome::Expired);
        };
        match self.commit(&transition).await {
            Ok(()) => {
                self.pace.forget(&request.id);
                // Where they may be fetched again, what waits must stay good: the device renews them itself.
                let renew = tokens.have_run_out(now) && window.is_none();
                let tokens = if renew { self.renewed(client, tokens).await } else { tokens };
                let response = self.response((client, proof), request, tokens);
                self.audit(Event::HandOver, "handed_over", About::request(request));
                Ok(PollOutcome::Tokens(Box::new(response)))
            }
            Err(CommitError::Lost(Some(present))) => Ok(decided_outcome(present.standing(now))),
            Err(CommitError::Lost(None)) => Ok(PollOutcome::InvalidGrant),
            Err(CommitError::Unavailable(unavailable)) => {
                self.keep_waiting_later(request, &transition.op, approval.redeemable_until);
                Err(unavailable)
            }
        }
    }

    /// The answer may have been lost on its way: within its window the device gets the same tokens again. Nothing is written,
    /// so nothing can be lost a second time (design: one token set, to one proven client, within the window).
    pub(crate) fn hand_over_again(
        &self,
        (client, proof, network): (&DeviceClient, Option<&Proof>, Network),
        device_code: &DeviceCode,
        request: &DeviceRequest,
        now: Timestamp,
    ) -> Result<PollOutcome, Unavailable> {
        // The operator may have switched it off meanwhile.
        let kept = match &request.state {
            RequestState::Redeemed(Some(kept)) if client.redelivery_window(request).is_some() => kept,
            _ => return Ok(PollOutcome::InvalidGrant),
        };
        let Some(tokens) = self.open_tokens(client, device_code, request, &kept.sealed)? else {
            return Ok(PollOutcome::InvalidGrant);
        };
        if tokens.are_of_no_use(now) {
            return Ok(PollOutcome::Expired);
        }
        let response = self.response((client, proof), request, tokens);
        let about = About { network: Some(network), ..About::request(request) };
        self.audit(Event::HandOver, "handed_over_again", about);
        Ok(PollOutcome::Tokens(Box::new(response)))
    }

    /// What waits, if the client may have it; `None` if the request is not as it was issued, or a scope was withdrawn.
    fn open_tokens(
        &self,
        client: &DeviceClient,
        device_code: &DeviceCode,
        request: &DeviceRequest,
        sealed: &[u8],
    ) -> Result<Option<StoredTokens>, Unavailable> {
        let tokens = self.tokens_in(sealed, device_code, request)?;
        // A scope that the operator has withdrawn since the approval is not handed out (TP-19).
        if tokens.is_some() && !request.scope.within(&client.ceiling()) {
            self.audit(Event::HandOver, "scope_withdrawn", About::request(request));
            return Ok(None);
        }
        Ok(tokens)
    }

    /// Opens the mailbox; `None` if the request is not as it was issued.
    pub(crate) fn tokens_in(
        &self,
        sealed: &[u8],
        device_code: &DeviceCode,
        request: &DeviceRequest,
    ) -> Result<Option<StoredTokens>, Unavailable> {
        match self.as_issued(request) {
            Ok(()) => {}
            Err(NotAsIssued::Altered) => return Ok(None),
            Err(NotAsIssued::Unavailable(unavailable)) => return Err(unavailable),
        }
        let opened = mailbox::open(device_code, &self.keyring, (&request.id, Slot::Tokens), sealed);
        let opened = opened.map_err(|problem| {
            tracing::error!(request = %request.id, error = %problem, "an approved request's mailbox does not open");
            Unavailable(problem.into())
        })?;
        serde_json::from_slice(&opened).map(Some).map_err(|error| Unavailable(error.into()))
    }

    /// Nobody can tell whether the hand-over `write` was done, and the tokens have not left. They are made to wait again, for
    /// the device's next poll on whatever replica, as long as it could fetch them.
    fn keep_waiting_later(self: &Arc<Self>, request: &DeviceRequest, write: &OpId, until: Timestamp) {
        let (service, before, write) = (Arc::clone(self), request.clone(), write.clone());
        self.tasks.spawn(async move {
            let mut own: Vec<OpId> = Vec::new();
            while service.now() < until {
                tokio::time::sleep(PAUSE).await;
                let Ok(present) = service.store.load(&before.id, Consistency::Strong).await else { continue };
                let Some(present) = present.filter(|present| !own.contains(&present.op)) else { return };
                let op = service.op();
                let Some(transition) = present.keep_waiting(&before, &write, op.clone()) else { return };
                own.push(op);
                if let Ok(()) = service.store.transition(&transition).await {
                    tracing::warn!(request = %before.id, "tokens wait again: it was not known whether they had left");
                    return;
                }
            }
        });
    }
}
