//! What a request was issued with, bound together under a request key: whoever can write the table, and has no keys, can
//! neither change it nor lead a user code to another request.
//!
//! The seal of the origin does this beside its own work: the request's fixed parts are its associated data, and a hash of
//! the user code lies inside. What changes with a transition (state, version, fence) is not bound.

use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_protocol::UserCode;
use serde::{Deserialize, Serialize};

use crate::audit::{About, Event};
use crate::client::DeviceClient;
use crate::ids::labelled_hash;
use crate::keyring::{OpenError, Purpose};
use crate::network::Network;
use crate::request::DeviceRequest;
use crate::service::DeviceGrant;
use crate::store::Unavailable;

const LABEL: &str = "origin";

/// From where a request was made; shown coarsely on the confirmation page and sealed in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The network.
    pub network: Network,
    /// What kind of device it seems to be.
    pub device: Option<String>,
}

/// An open request as it was issued.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The request.
    pub request: DeviceRequest,
    /// From where it was made.
    pub origin: Origin,
    /// Whose it is; nobody's any more where the client was removed.
    pub client: Option<Arc<DeviceClient>>,
}

/// Why nothing may come of a request that the store has.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAsIssued {
    /// It is not the one that was issued: somebody has written to the store.
    #[error("the request was altered in the store")]
    Altered,
    /// It cannot be told on this replica.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    origin: Origin,
    user_code: String,
}

impl DeviceGrant {
    /// What goes into the store as `request.origin`, for a request that is otherwise complete.
    pub(crate) fn seal_issued(
        &self,
        request: &DeviceRequest,
        user_code: &UserCode,
        origin: &Origin,
    ) -> Vec<u8> {
        let sealed = Sealed { origin: origin.clone(), user_code: hashed(user_code) };
        let plaintext = serde_json::to_vec(&sealed).expect("strings always serialize");
        self.keyring.seal(Purpose::Request, LABEL, &fixed_parts(request), &plaintext)
    }

    /// From where `request` was made, if it is the one that was issued, and issued with `user_code`.
    pub(crate) fn issued_with(
        &self,
        user_code: &UserCode,
        request: &DeviceRequest,
    ) -> Result<Origin, NotAsIssued> {
        let sealed = self.open_issued(request)?.filter(|sealed| sealed.user_code == hashed(user_code));
        sealed.map(|sealed| sealed.origin).ok_or_else(|| self.altered(request))
    }

    /// Whether `request` is the one that was issued, where nobody has named its user code.
    pub(crate) fn as_issued(&self, request: &DeviceRequest) -> Result<(), NotAsIssued> {
        self.open_issued(request)?.map(drop).ok_or_else(|| self.altered(request))
    }

    fn open_issued(&self, request: &DeviceRequest) -> Result<Option<Sealed>, Unavailable> {
        match self.keyring.open(Purpose::Request, LABEL, &fixed_parts(request), &request.origin) {
            Ok(opened) => Ok(serde_json::from_slice(&opened).ok()),
            Err(OpenError::Broken) => Ok(None),
            // Another replica has the key: nothing is wrong with the request.
            Err(lacking @ OpenError::UnknownKey(_)) => Err(Unavailable(lacking.into())),
        }
    }

    fn altered(&self, request: &DeviceRequest) -> NotAsIssued {
        self.audit_alarm(Event::Failure, "altered_in_the_store", About::request(request));
        NotAsIssued::Altered
    }
}

/// Everything that no transition changes.
fn fixed_parts(request: &DeviceRequest) -> Vec<u8> {
    let parts = (
        (&request.id, &request.client_id, &request.asked_scope, &request.scope),
        (request.created_at, request.expires_at, &request.mailbox, &request.dpop_jkt),
    );
    serde_json::to_vec(&parts).expect("strings and numbers always serialize")
}

fn hashed(user_code: &UserCode) -> String {
    let hash = labelled_hash("device-grant/user-code/1", user_code.expose());
    BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}
