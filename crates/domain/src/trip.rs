//! A browser's trip to the user pool and back.
//!
//! What must be remembered meanwhile travels in a sealed cookie of that browser: so any replica can take the
//! callback, and no other browser can (CB-02).

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_protocol::{ClientId, Nonce, PkceVerifier, Scope, State, UserCode};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::audit::{About, Event};
use crate::entropy::{Entropy, bytes};
use crate::ids::{AttemptId, RequestId, labelled_hash};
use crate::keyring::Purpose;
use crate::network::Network;
use crate::policy::{Prompt, SignInDemand, StepUp};
use crate::pool::{Account, AuthorizeTrip, PoolClient, PoolProblem};
use crate::request::{DeviceRequest, Refusal};
use crate::service::DeviceGrant;
use crate::time::Timestamp;

/// How long a trip's cookie is good for; pools let people take their time with a second factor.
pub const TRIP_LIFE: Duration = Duration::from_mins(20);
const LABEL: &str = "trip";
const SIGN_IN_SCOPE: &str = "openid profile email";

/// One trip: what it is for, and the secrets that tie its return to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trip {
    /// Its name; a hash of `state`.
    pub attempt: AttemptId,
    /// What it is for. A trip made for one purpose cannot finish another (CB-05).
    pub purpose: TripPurpose,
    /// The code that the person had typed, in canonical form, to come back with.
    pub user_code: Option<UserCode>,
    /// After this its return is refused.
    pub ends_at: Timestamp,
    pub(crate) state: State,
    pub(crate) nonce: Nonce,
    pub(crate) verifier: PkceVerifier,
}

/// What a trip is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TripPurpose {
    /// To learn who the person is.
    SignIn,
    /// To get tokens for a device, after the person has approved.
    Grant {
        /// The request that was approved.
        request: RequestId,
        /// Its client.
        client_id: ClientId,
        /// Who approved it; nobody knows where people sign in only now.
        account: Option<Account>,
        /// What was asked of the sign-in, to be found in what comes back.
        #[serde(default)]
        demand: SignInDemand,
    },
}

/// Why a person cannot be sent to the pool.
#[derive(Debug, thiserror::Error)]
pub enum DepartureError {
    /// The request is not open any more.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The pool cannot be used now.
    #[error(transparent)]
    Pool(#[from] PoolProblem),
}

impl AttemptId {
    /// The trip that `state` belongs to.
    pub fn of_state(state: &str) -> Self {
        let hash = labelled_hash("device-grant/attempt/1", state);
        Self::from_stored(BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]))
    }
}

impl DeviceGrant {
    /// Sends a person to the pool to sign in. With `fresh` the pool is asked to let them choose an account anew.
    pub async fn depart_to_sign_in(
        &self,
        user_code: Option<UserCode>,
        fresh: bool,
    ) -> Result<(Trip, Url), DepartureError> {
        let trip = self.new_trip(TripPurpose::SignIn, user_code);
        let scope = SIGN_IN_SCOPE.parse().expect("a constant scope is well formed");
        let prompt = fresh.then_some(Prompt::Login);
        let step_up = StepUp { prompt, ..StepUp::default() };
        let asked = (&step_up, false);
        let url = self.authorize_url(&trip, &self.settings.service_client, &scope, asked).await?;
        Ok((trip, url))
    }

    /// Sends a person who has approved `request` to the pool for the device's tokens. `account` is who that was, if the
    /// person has signed in before, and `network` where they are.
    pub async fn depart_for_grant(
        &self,
        request: &DeviceRequest,
        user_code: UserCode,
        (account, network): (Option<&Account>, Network),
    ) -> Result<(Trip, Url), DepartureError> {
        let now = self.now();
        request.is_open(now)?;
        if request.expires_at.since(now) < self.settings.min_trip {
            return Err(Refusal::Expired.into());
        }
        let client = self.client(&request.client_id).await.map_err(|away| PoolProblem(away.to_string()))?;
        let client = client.ok_or(Refusal::Expired)?;
        let step_up = &client.policies.step_up;
        let purpose = TripPurpose::Grant {
            request: request.id.clone(),
            client_id: client.id.clone(),
            account: account.cloned(),
            demand: step_up.demand(now),
        };
        let trip = self.new_trip(purpose, Some(user_code));
        // While codes are being guessed everybody is asked to sign in anew. Whether they did is not looked at beyond the
        // client's policies: the count of all guesses refuses nobody (UC-07).
        let asked = (step_up, self.is_under_attack());
        let url = self.authorize_url(&trip, self.pool_client(&client), &request.scope, asked).await?;
        let account = account.map(|account| account.id.as_str());
        let about = About { network: Some(network), account, ..About::request(request) };
        self.audit(Event::Authorize, "sent_to_pool", about);
        Ok((trip, url))
    }

    /// The trip as its cookie holds it.
    pub fn seal_trip(&self, trip: &Trip) -> String {
        let plaintext = serde_json::to_vec(trip).expect("a trip always serializes");
        let sealed = self.keyring.seal(Purpose::Request, LABEL, trip.attempt.as_str().as_bytes(), &plaintext);
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The trip that a callback with `state` belongs to, if `cookie` is of this browser's and its time is not over.
    pub fn open_trip(&self, state: &str, cookie: &str) -> Option<Trip> {
        let trip = self.trip_of(&AttemptId::of_state(state), cookie)?;
        (trip.state.matches(state) && self.now() < trip.ends_at).then_some(trip)
    }

    /// The trip `attempt` as `cookie` holds it.
    pub fn trip_of(&self, attempt: &AttemptId, cookie: &str) -> Option<Trip> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let opened = self.keyring.open(Purpose::Request, LABEL, attempt.as_str().as_bytes(), &sealed).ok()?;
        serde_json::from_slice(&opened).ok()
    }

    fn new_trip(&self, purpose: TripPurpose, user_code: Option<UserCode>) -> Trip {
        let state = random(&*self.entropy);
        Trip {
            attempt: AttemptId::of_state(&state),
            purpose,
            user_code,
            ends_at: self.now() + TRIP_LIFE,
            state: State::new(state),
            nonce: Nonce::new(random(&*self.entropy)),
            verifier: PkceVerifier::new(random(&*self.entropy)),
        }
    }

    async fn authorize_url(
        &self,
        trip: &Trip,
        client: &PoolClient,
        scope: &Scope,
        (step_up, anew): (&StepUp, bool),
    ) -> Result<Url, PoolProblem> {
        let redirect_uri = self.settings.redirect_uri();
        let trip = AuthorizeTrip {
            client,
            redirect_uri: &redirect_uri,
            scope,
            state: &trip.state,
            nonce: &trip.nonce,
            verifier: &trip.verifier,
            step_up,
            anew,
            extra: &self.settings.authorize_params,
        };
        self.pool.authorize_url(trip).await
    }
}

/// 256 random bits as 43 unreserved characters: fits a `code_verifier` (RFC 7636 section 4.1), a state and a nonce.
fn random(entropy: &dyn Entropy) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes::<32>(entropy))
}
