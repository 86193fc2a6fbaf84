//! A device gives its code up: the person has left the screen.

use std::sync::Arc;

use device_grant_protocol::DeviceCode;

use crate::audit::{About, Event};
use crate::client::DeviceClient;
use crate::commit::CommitError;
use crate::dpop::{Proof, ProofError};
use crate::exchange::{StoredTokens, Unwanted};
use crate::ids::RequestId;
use crate::mailbox::{self, Slot};
use crate::network::Network;
use crate::request::{DeviceRequest, RequestState};
use crate::service::DeviceGrant;
use crate::store::{Consistency, Unavailable};
use crate::tokens::RevokeRefusal;

/// How often a request may change under our hands before the device is asked to come again.
const TRIES: usize = 4;

impl DeviceGrant {
    /// Ends what `device_code` began, if it was this client that did, and nobody has its tokens yet. Everything else changes
    /// nothing and is no error, as for any token that is unknown (RFC 7009 section 2.2).
    ///
    /// # Errors
    /// When the store does not answer: then nothing is known, and the device may ask again.
    pub async fn cancel(
        self: &Arc<Self>,
        client: &DeviceClient,
        device_code: &DeviceCode,
        proof: Option<&Proof>,
        network: Network,
    ) -> Result<(), RevokeRefusal> {
        client.dpop.demand(proof)?;
        let (id, place) = (RequestId::of(device_code), network.to_string());
        let reserved = self.unknown_codes.reserve(client.id.as_str(), &place, self.now());
        reserved.map_err(RevokeRefusal::TooMany)?;
        let given_up = self.give_up(client, (&id, device_code), proof, network).await;
        if !matches!(given_up, Ok(GivenUp::Unknown)) {
            self.unknown_codes.give_back(client.id.as_str(), &place, self.now());
        }
        match given_up {
            Ok(GivenUp::Refused(refused)) => Err(refused.into()),
            Ok(GivenUp::Known | GivenUp::Unknown) => Ok(()),
            Err(unavailable) => {
                tracing::warn!(request = %id, error = %unavailable, "a code was not given up");
                Err(RevokeRefusal::Unavailable)
            }
        }
    }

    async fn give_up(
        self: &Arc<Self>,
        client: &DeviceClient,
        (id, device_code): (&RequestId, &DeviceCode),
        proof: Option<&Proof>,
        network: Network,
    ) -> Result<GivenUp, Unavailable> {
        for tries in 0..TRIES {
            let Some(request) = self.store.load(id, Consistency::Strong).await? else {
                return Ok(GivenUp::Unknown);
            };
            if request.client_id != client.id || !request.is_open_to(proof.map(Proof::key)) {
                return Ok(GivenUp::Known);
            }
            if tries == 0
                && let Err(refused) = self.spend_proof(proof).await?
            {
                return Ok(GivenUp::Refused(refused));
            }
            let Ok(transition) = request.cancel(self.now(), self.op()) else {
                return Ok(GivenUp::Known);
            };
            match self.commit(&transition).await {
                Ok(()) => {
                    let about = About { network: Some(network), ..About::request(&request) };
                    self.audit(Event::Cancel, "cancelled", about);
                    self.drop_what_waited(client, device_code, &request);
                    return Ok(GivenUp::Known);
                }
                Err(CommitError::Lost(_)) => {}
                Err(CommitError::Unavailable(unavailable)) => return Err(unavailable),
            }
        }
        Err(Unavailable("the request changes all the time".into()))
    }

    /// Tokens that waited are revoked, best effort: the device has brought what opens their mailbox.
    fn drop_what_waited(
        self: &Arc<Self>,
        client: &DeviceClient,
        device_code: &DeviceCode,
        request: &DeviceRequest,
    ) {
        let RequestState::Approved(approval) = &request.state else { return };
        if self.as_issued(request).is_err() {
            return;
        }
        let opened = mailbox::open(device_code, &self.keyring, (&request.id, Slot::Tokens), &approval.sealed);
        let Some(tokens) =
            opened.ok().and_then(|opened| serde_json::from_slice::<StoredTokens>(&opened).ok())
        else {
            return;
        };
        let (service, pool_client) = (Arc::clone(self), self.pool_client(client).clone());
        self.tasks.spawn(async move {
            service.drop_tokens(&pool_client, Unwanted::of(&tokens.response)).await;
        });
    }
}

/// What was found.
enum GivenUp {
    /// No such request.
    Unknown,
    /// It is over now, or it was before, or it is not this device's.
    Known,
    /// The proof of the device's key was used before.
    Refused(ProofError),
}
