//! A device polls (RFC 8628 section 3.4 and 3.5).

use std::sync::Arc;

use device_grant_protocol::{DeviceCode, TokenResponse};

use crate::audit::Event;
use crate::client::DeviceClient;
use crate::dpop::{Proof, ProofError};
use crate::ids::RequestId;
use crate::network::Network;
use crate::pace::{Entry, Pace, PollPace, TOLERANCE};
use crate::request::{DeviceRequest, Standing};
use crate::service::DeviceGrant;
use crate::store::{Consistency, TransitionError, Unavailable};
use crate::time::Timestamp;

/// What a poll is told.
#[derive(Debug)]
pub enum PollOutcome {
    /// `authorization_pending`.
    Pending,
    /// `slow_down`: from now on this many seconds must lie between polls.
    SlowDown(u32),
    /// `access_denied`.
    Denied,
    /// `expired_token`.
    Expired,
    /// `invalid_grant`: unknown, another client's, or handed over before.
    InvalidGrant,
    /// The proof of the device's key was used before.
    ProofRefused(ProofError),
    /// The tokens, this once.
    Tokens(Box<TokenResponse>),
    /// Nothing can be said now: come back after this many seconds. The request is as it was (TP-18).
    Undecidable(u32),
}

impl DeviceGrant {
    /// Answers a poll of an authenticated client. One read, and at most one write (a hand-over, or a pace that broke; with
    /// [`PollPace::Shared`] also a pace that was kept).
    ///
    /// A tied request answers to the holder of its key alone. Whoever comes without a proof, or with one of another key,
    /// hears `invalid_grant` and leaves no trace (DP-02).
    pub async fn poll(
        self: &Arc<Self>,
        client: &DeviceClient,
        device_code: &DeviceCode,
        proof: Option<&Proof>,
        network: Network,
    ) -> PollOutcome {
        let id = RequestId::of(device_code);
        match self.try_poll(client, (device_code, &id), proof, network).await {
            Ok(outcome) => outcome,
            Err(unavailable) => {
                tracing::warn!(request = %id, error = %unavailable, "a poll cannot be decided");
                self.count(Event::Poll, "undecided", &client.id);
                PollOutcome::Undecidable(self.interval(&id))
            }
        }
    }

    /// The pace that a poll keeps of which nothing more is known than its device code, in seconds.
    pub fn present_interval(&self, device_code: &DeviceCode) -> u32 {
        self.interval(&RequestId::of(device_code))
    }

    fn interval(&self, id: &RequestId) -> u32 {
        self.pace.interval(id).unwrap_or(self.settings.interval)
    }

    async fn try_poll(
        self: &Arc<Self>,
        client: &DeviceClient,
        (device_code, id): (&DeviceCode, &RequestId),
        proof: Option<&Proof>,
        network: Network,
    ) -> Result<PollOutcome, Unavailable> {
        let now = self.now();
        // Whoever tries codes there costs reads; a device beside them loses nothing by waiting.
        let look = self.read_for(client, id, now);
        let Ok(read) = self.count_unknown(client, network, look).await else {
            self.count(Event::Poll, "too_many_unknown_codes", &client.id);
            return Ok(PollOutcome::Undecidable(self.interval(id)));
        };
        let Some(request) = read? else {
            return Ok(PollOutcome::InvalidGrant);
        };
        if request.client_id != client.id {
            return Ok(PollOutcome::InvalidGrant);
        }
        if !request.is_open_to(proof.map(Proof::key)) || client.dpop.demand(proof).is_err() {
            return Ok(PollOutcome::InvalidGrant);
        }
        if let Err(refused) = self.spend_proof(proof).await? {
            return Ok(PollOutcome::ProofRefused(refused));
        }
        Ok(match request.standing(now) {
            Standing::Undecided => self.pending(&request, now).await,
            Standing::Abandoned => {
                self.take_over_later(&request, device_code);
                self.pending(&request, now).await
            }
            Standing::Redeemable => self.hand_over((client, proof), device_code, &request, now).await?,
            Standing::Redeliverable => {
                self.hand_over_again((client, proof, network), device_code, &request, now)?
            }
            decided => decided_outcome(decided),
        })
    }

    /// The request `id`. A read that may be stale is good for "nothing yet" only; everything else is looked at again
    /// (ST-08).
    async fn read_for(
        &self,
        client: &DeviceClient,
        id: &RequestId,
        now: Timestamp,
    ) -> Result<Option<DeviceRequest>, Unavailable> {
        let undecided = |request: &DeviceRequest| {
            request.client_id == client.id && request.standing(now) == Standing::Undecided
        };
        match self.store.load(id, self.settings.poll_reads).await? {
            Some(request) if undecided(&request) => Ok(Some(request)),
            fresh if self.settings.poll_reads == Consistency::Strong => Ok(fresh),
            _ => self.store.load(id, Consistency::Strong).await,
        }
    }

    async fn pending(&self, request: &DeviceRequest, now: Timestamp) -> PollOutcome {
        let pace = match self.settings.poll_pace {
            PollPace::Memory => self.pace.note(&request.id, request.interval, now),
            PollPace::Shared => self.shared_pace(request, now).await,
        };
        let Pace::Broken(interval) = pace else { return PollOutcome::Pending };
        if interval > request.interval
            && let Err(unavailable) = self.store.slow_down(&request.id, interval).await
        {
            // This replica remembers; the others will once the store answers again.
            tracing::warn!(request = %request.id, error = %unavailable, "a slow_down was not stored");
        }
        PollOutcome::SlowDown(interval)
    }

    /// The pace over all replicas. A kept one is written, on condition that nobody has polled since the read, which may be
    /// stale: so of polls at once one keeps it. Replicas' clocks differ by a little, which is no device's fault.
    async fn shared_pace(&self, read: &DeviceRequest, now: Timestamp) -> Pace {
        let tolerance = TOLERANCE + self.settings.clock_skew;
        let mut newer = None;
        // Whoever has lost to another poll or to a `slow_down` looks again; soon after that no pace is kept any more.
        loop {
            let request = newer.as_deref().unwrap_or(read);
            let mut entry = Entry::of(request, now);
            let pace = request.counted_from.map_or(Pace::Kept, |_| entry.note(now, tolerance));
            if pace == Pace::Kept {
                match self.store.count_from(request, entry.counted_from).await {
                    Err(TransitionError::Conflict(there)) if there.is_waiting(now) => {
                        newer = Some(there);
                        continue;
                    }
                    Err(TransitionError::Unavailable(problem)) => {
                        tracing::warn!(request = %request.id, error = %problem, "a poll was not counted");
                        return self.pace.note(&request.id, request.interval, now);
                    }
                    // Counted; or decided meanwhile, and then the next poll hears of it.
                    Ok(()) | Err(TransitionError::Conflict(_) | TransitionError::NotFound) => {}
                }
            }
            self.pace.learn(&request.id, entry, now);
            return pace;
        }
    }
}

pub(crate) fn decided_outcome(standing: Standing) -> PollOutcome {
    match standing {
        Standing::Denied => PollOutcome::Denied,
        Standing::Expired => PollOutcome::Expired,
        Standing::Redeemed => PollOutcome::InvalidGrant,
        // Only reached when somebody else's write came in between: the next poll sees what became of it.
        Standing::Undecided | Standing::Abandoned | Standing::Redeemable | Standing::Redeliverable => {
            PollOutcome::Pending
        }
    }
}
