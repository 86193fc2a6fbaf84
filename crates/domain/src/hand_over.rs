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
        match self.as_issued(request) {
            Ok(()) => {}
            Err(NotAsIssued::Altered) => return Ok(PollOutcome::InvalidGrant),
            Err(NotAsIssued::Unavailable(unavailable)) => return Err(unavailable),
        }
        let opened = mailbox::open(device_code, &self.keyring, (&request.id, Slot::Tokens), &approval.sealed);
        let opened = opened.map_err(|problem| {
            tracing::error!(request = %request.id, error = %problem, "an approved request's mailbox does not open");
            Unavailable(problem.into())
        })?;
        let tokens: StoredTokens =
            serde_json::from_slice(&opened).map_err(|error| Unavailable(error.into()))?;
        // A scope that the operator has withdrawn since the approval is not handed out (TP-19).
        if !request.scope.within(&client.ceiling()) {
            self.audit(Event::HandOver, "scope_withdrawn", About::request(request));
            return Ok(PollOutcome::InvalidGrant);
        }
        let run_out = tokens.have_run_out(now);
        // Nothing expired is handed over as good (TP-08), and these cannot be renewed.
        if run_out && tokens.response.refresh_token.is_none() {
            return Ok(PollOutcome::Expired);
        }
        let Ok(transition) = request.redeem(now, self.op()) else {
            return Ok(PollOutcome::Expired);
        };
        match self.commit(&transition).await {
            Ok(()) => {
                self.pace.forget(&request.id);
                let tokens = if run_out { self.renewed(client, tokens).await } else { tokens };
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
