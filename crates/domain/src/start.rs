//! A device starts a request (RFC 8628 section 3.1 and 3.2).

use std::time::Duration;

use device_grant_protocol::{DeviceAuthorizationResponse, DeviceCode, Scope, UserCode};

use crate::audit::{About, Event};
use crate::client::DeviceClient;
use crate::dpop::{Proof, ProofError};
use crate::ids::{RequestId, UserCodeKey};
use crate::issued::Origin;
use crate::mailbox::MailboxKey;
use crate::network::Network;
use crate::request::{DeviceRequest, RequestState};
use crate::service::DeviceGrant;
use crate::store::{CreateError, NewRequest, Unavailable};
use crate::time::Timestamp;

/// A user code is not issued again for this long after its request ended (DA-11).
pub const USER_CODE_COOL_DOWN: Duration = Duration::from_mins(10);
/// Draws of a user code before the code space counts as full.
const DRAWS: usize = 8;

/// Why a request was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// More than the client may ask for.
    #[error("the client may not ask for this scope")]
    InvalidScope,
    /// The client does not have this grant.
    #[error("the client may not use the device code grant")]
    UnauthorizedClient,
    /// The client may not start from where it is (SEC-15).
    #[error("the client may not start from this network")]
    ForeignNetwork,
    /// Too many starts from this network (DA-13).
    #[error("too many requests; wait {} s", .0.as_secs())]
    TooMany(Duration),
    /// The proof of the device's key is missing or was used before.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Every drawn user code was taken.
    #[error("no user code is free: lengthen the code or shorten its life")]
    NoCodeFree,
    /// The store did not take it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl StartError {
    /// Its name in the audit trail.
    const fn name(&self) -> &'static str {
        match self {
            Self::InvalidScope => "invalid_scope",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::ForeignNetwork => "foreign_network",
            Self::Proof(_) => "bad_proof",
            Self::TooMany(_) => "too_many",
            Self::NoCodeFree => "no_code_free",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl DeviceGrant {
    /// Issues a pair of codes to an authenticated client; with a proof they are tied to its key (DP-01).
    pub async fn start(
        &self,
        client: &DeviceClient,
        asked: Scope,
        origin: &Origin,
        proof: Option<&Proof>,
    ) -> Result<DeviceAuthorizationResponse, StartError> {
        let now = self.now();
        let about = About { client: Some(&client.id), network: Some(origin.network), ..About::default() };
        let admitted = self.admit(client, &asked, (origin.network, proof), now).await;
        admitted.inspect_err(|refusal| self.audit(Event::Issue, refusal.name(), about))?;

        let device_code = self.settings.device_code.draw_device_code(&*self.entropy);
        let mut request = self.new_request(client, asked, &device_code, now);
        request.dpop_jkt = proof.map(|proof| proof.key().clone());
        let (id, lifetime) = (request.id.clone(), request.expires_at.since(now));
        let created = self.create(request, origin, now).await;
        let user_code = created.inspect_err(|failed| self.audit(Event::Issue, failed.name(), about))?;
        self.audit(Event::Issue, "issued", About { request: Some(&id), ..about });
        Ok(self.announce(device_code, &user_code, lifetime))
    }

    async fn admit(
        &self,
        client: &DeviceClient,
        asked: &Scope,
        (network, proof): (Network, Option<&Proof>),
        now: Timestamp,
    ) -> Result<(), StartError> {
        if !client.grants.device_code {
            return Err(StartError::UnauthorizedClient);
        }
        client.dpop.demand(proof)?;
        let allowed = &client.policies.start_networks;
        if !allowed.is_empty() && !network.is_within(allowed) {
            return Err(StartError::ForeignNetwork);
        }
        if !asked.within(&client.scopes) {
            return Err(StartError::InvalidScope);
        }
        self.starts.admit(client, &network.to_string(), now).map_err(StartError::TooMany)?;
        Ok(self.spend_proof(proof).await??)
    }

    fn new_request(
        &self,
        client: &DeviceClient,
        asked: Scope,
        device_code: &DeviceCode,
        now: Timestamp,
    ) -> DeviceRequest {
        let id = RequestId::of(device_code);
        let granted = if asked.is_empty() { client.default_scope.clone() } else { asked.clone() };
        DeviceRequest {
            client_id: client.id.clone(),
            scope: granted.union(&client.extra_scopes),
            asked_scope: asked,
            created_at: now,
            expires_at: now + client.lifetime.unwrap_or(self.settings.lifetime),
            interval: self.settings.interval,
            counted_from: None,
            mailbox: MailboxKey::of(device_code),
            origin: Vec::new(),
            version: 1,
            op: self.op(),
            fence: 0,
            dpop_jkt: None,
            spent: Vec::new(),
            state: RequestState::Pending,
            id,
        }
    }

    async fn create(
        &self,
        request: DeviceRequest,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<UserCode, StartError> {
        let user_code_reusable_at = request.expires_at + USER_CODE_COOL_DOWN;
        let mut new = NewRequest {
            request,
            user_code: UserCodeKey::from_stored(""),
            other_places: Vec::new(),
            user_code_reusable_at,
        };
        let format = self.user_code_format();
        for _ in 0..DRAWS {
            let user_code = format.draw_user_code(&*self.entropy);
            let mut places = UserCodeKey::all(&user_code, &self.keyring).into_iter();
            new.user_code = places.next().expect("a keyring has an active request key");
            new.other_places = places.collect();
            new.request.origin = self.seal_issued(&new.request, &user_code, origin);
            match self.store.create(&new, now).await {
                Ok(()) => {
                    self.tally.issued();
                    return Ok(user_code);
                }
                Err(CreateError::UserCodeTaken) => {}
                Err(CreateError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
        }
        Err(StartError::NoCodeFree)
    }

    fn announce(
        &self,
        device_code: DeviceCode,
        user_code: &UserCode,
        lifetime: Duration,
    ) -> DeviceAuthorizationResponse {
        let shown = self.settings.user_code.display(user_code);
        let verification_uri = self.settings.verification_uri();
        let mut complete = verification_uri.clone();
        complete.query_pairs_mut().append_pair("user_code", &shown);
        DeviceAuthorizationResponse {
            device_code,
            user_code: UserCode::new(shown),
            verification_uri: verification_uri.into(),
            verification_uri_complete: Some(complete.into()),
            expires_in: lifetime.as_secs(),
            interval: u64::from(self.settings.interval),
        }
    }
}
