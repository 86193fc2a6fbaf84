//! A device's request: its parameters and, before anything else happens, its sender.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use device_grant_domain::Network;
use device_grant_domain::client::{Assertion, AuthError, Credentials, DeviceClient};
use device_grant_domain::dpop::{ProofError, Proven};
use device_grant_protocol::{ErrorCode, Params};

use super::Sender;
use super::kind::kind;
use crate::error::OAuthError;
use crate::state::AppState;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const FORM: &str = "application/x-www-form-urlencoded";
/// What the original sample sends in the query. Anything else there has no effect.
const SAMPLE_PARAMETERS: [&str; 4] = ["client_id", "scope", "device_code", "grant_type"];

/// A request to one of the device's endpoints.
pub(crate) struct DeviceCall {
    /// Of the endpoint: every route to one is exact.
    path: String,
    network: Network,
    headers: HeaderMap,
    body: Params,
    query: Params,
}

impl FromRequest<AppState> for DeviceCall {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, OAuthError> {
        let (mut parts, body) = request.into_parts();
        let Ok(sender) = Sender::from_request_parts(&mut parts, state).await;
        let path = parts.uri.path().to_owned();
        let query = Params::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        let headers = parts.headers.clone();
        let body = Bytes::from_request(Request::from_parts(parts, body), state)
            .await
            .map_err(|_| OAuthError::invalid_request("the body is too large or broken"))?;
        if !body.is_empty() {
            check_media_type(&headers)?;
        }
        let call = Self { path, network: sender.network, headers, body: Params::parse(&body)?, query };
        call.check()?;
        Ok(call)
    }
}

impl DeviceCall {
    fn check(&self) -> Result<(), OAuthError> {
        // CA-04: whoever writes a secret into a URL writes it into every log on the way.
        if self.query.mentions("client_secret") || self.query.mentions("client_assertion") {
            return Err(OAuthError::invalid_request("client credentials may not stand in the URL"));
        }
        if self.headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
            return Err(OAuthError::invalid_request("two Authorization headers"));
        }
        if self.headers.get_all(DPOP).iter().nth(1).is_some() {
            return Err(OAuthError::described(ErrorCode::InvalidDpopProof, "two DPoP headers"));
        }
        self.refuse_repeats()
    }

    /// From where it comes.
    pub(crate) fn network(&self) -> Network {
        self.network
    }

    /// The parameter `name` of the body.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.body.value(name)
    }

    /// The parameter `name` of the body or, in the sample's way, of the query.
    pub(crate) fn sample_value(&self, name: &str) -> Option<&str> {
        let in_query = SAMPLE_PARAMETERS.contains(&name).then(|| self.query.value(name)).flatten();
        self.body.value(name).or(in_query)
    }

    /// Whether `name` was written at all.
    pub(crate) fn mentions(&self, name: &str, sample_way: bool) -> bool {
        self.body.mentions(name) || (sample_way && self.query.mentions(name))
    }

    /// Who sends this (RFC 6749 section 2.3). `sample_way` allows a `client_id` in the query.
    pub(crate) async fn authenticate(
        &self,
        state: &AppState,
        sample_way: bool,
    ) -> Result<Arc<DeviceClient>, AuthError> {
        let client_id = if sample_way { self.sample_value("client_id") } else { self.value("client_id") };
        let credentials = Credentials {
            header: self.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes),
            client_id,
            client_secret: self.value("client_secret"),
            assertion: self.assertion(),
            network: self.network(),
            endpoint: &self.path,
        };
        state.service.authenticate(&credentials).await
    }

    /// What `client`, which sends this, proves by its DPoP header (RFC 9449 section 4.3).
    pub(crate) fn prove(&self, state: &AppState, client: &DeviceClient) -> Result<Proven, ProofError> {
        state.service.prove(client, self.headers.get(DPOP).map(HeaderValue::as_bytes), &self.path)
    }

    /// Also where half of it is missing or empty: whoever writes its name means it.
    fn assertion(&self) -> Option<Assertion<'_>> {
        let (kind, text) = ("client_assertion_type", "client_assertion");
        let meant = self.body.mentions(kind) || self.body.mentions(text);
        let value = |name| self.value(name).unwrap_or_default();
        meant.then(|| Assertion { kind: value(kind), text: value(text) })
    }

    /// What kind of device this seems to be, for the person to recognise it.
    pub(crate) fn kind(&self) -> Option<String> {
        kind(self.headers.get(header::USER_AGENT)?.to_str().ok()?)
    }

    /// HI-05: the same name in the body and in the URL is a repeat too.
    fn refuse_repeats(&self) -> Result<(), OAuthError> {
        let twice = self.query.names().find(|name| self.body.mentions(name));
        twice.map_or(Ok(()), |_| {
            Err(OAuthError::invalid_request("a parameter stands in the URL and in the body"))
        })
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), OAuthError> {
    if is_form(headers) {
        return Ok(());
    }
    Err(OAuthError::invalid_request(
        "the body must be application/x-www-form-urlencoded, and not encoded further",
    ))
}

/// Whether a body is a form, as it stands (HI-07). Parameters of the media type and its case do not matter.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(FORM) && !headers.contains_key(header::CONTENT_ENCODING)
}
