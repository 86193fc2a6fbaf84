//! A device gives its code up: the person has left the screen.

use std::sync::Arc;

use device_grant_protocol::DeviceCode;

use crate::audit::{About, Event};
use crate::client::DeviceClient;
use crate::commit::CommitError;
use crate::dpop::Proof;
use crate::exchange::Unwanted;
use crate::ids::RequestId;
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
        let id = RequestId::of(device_code);
        let away = |unavailable: Unavailable| {
            tracing::warn!(request = %id, error = %unavailable, "a code was not given up");
            RevokeRefusal::Unavailable
        };
        let look = self.store.load(&id, Consistency::Strong);
        let read = self.count_unknown(client, network, look).await.map_err(RevokeRefusal::TooMany)?;
        let Some(request) = read.map_err(away)? else { return Ok(()) };
        if request.client_id != client.id || !request.is_open_to(proof.map(Proof::key)) {
            return Ok(());
        }
        self.spend_proof(proof).await.map_err(away)??;
        self.give_up((client, network), device_code, request).await.map_err(away)
    }

    async fn give_up(
        self: &Arc<Self>,
        (client, network): (&DeviceClient, Network),
        device_code: &DeviceCode,
        mut request: DeviceRequest,
    ) -> Result<(), Unavailable> {
        for _ in 0..TRIES {
            let Ok(transition) = request.cancel(self.now(), self.op()) else { return Ok(()) };
            match self.commit(&transition).await {
                Ok(()) => {
                    let about = About { network: Some(network), ..About::request(&request) };
                    self.audit(Event::Cancel, "cancelled", about);
                    self.drop_what_waited(client, device_code, &request);
                    return Ok(());
                }
                Err(CommitError::Lost(Some(present))) => request = *present,
                Err(CommitError::Lost(None)) => return Ok(()),
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
        let Ok(Some(tokens)) = self.tokens_in(&approval.sealed, device_code, request) else { return };
        let (service, pool_client) = (Arc::clone(self), self.pool_client(client).clone());
        self.tasks.spawn(async move {
            service.drop_tokens(&pool_client, Unwanted::of(&tokens.response)).await;
        });
    }
}
