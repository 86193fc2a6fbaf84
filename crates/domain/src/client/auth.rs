//! Who sends a request (RFC 6749 section 2.3), found out before anything else is looked at (TP-19).

use std::sync::Arc;
use std::time::Duration;

use device_grant_protocol::{BasicCredentials, ClientId};

use super::{ClientAuth, DeviceClient, SecretHash};
use crate::service::DeviceGrant;

/// What a request says about its sender.
pub struct Credentials<'a> {
    /// The value of its `Authorization` header.
    pub header: Option<&'a [u8]>,
    /// `client_id`, from the body or, in the sample's way, from the query.
    pub client_id: Option<&'a str>,
    /// `client_secret`, from the body.
    pub client_secret: Option<&'a str>,
    /// An assertion, or what there is of one.
    pub assertion: Option<Assertion<'a>>,
    /// From which network it comes.
    pub network: &'a str,
    /// The path of the endpoint that it came to.
    pub endpoint: &'a str,
}

/// A client assertion (RFC 7521 section 4.2). What is absent is empty.
#[derive(Clone, Copy)]
pub struct Assertion<'a> {
    /// `client_assertion_type`.
    pub kind: &'a str,
    /// `client_assertion`.
    pub text: &'a str,
}

/// Why a client was not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nobody is named.
    #[error("client_id is missing")]
    Missing,
    /// More than one way of authenticating (CA-06).
    #[error("more than one way of client authentication")]
    Several,
    /// Unknown client, wrong secret, wrong method, bad assertion: nobody is told which.
    #[error("client authentication failed")]
    Failed,
    /// Too many wrong secrets for this client came from this network (CA-09).
    #[error("too many failed client authentications from this network")]
    Throttled(Duration),
    /// Nobody can say: the store or the client's keys are away. The client may well be who it says.
    #[error("the client cannot be authenticated now")]
    Undecided,
}

impl DeviceGrant {
    /// The client that sends a request.
    pub async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Arc<DeviceClient>, AuthError> {
        match credentials {
            // A JWT among several makes it a matter of the client, not of the form (RFC 7521 section 4.2.1).
            Credentials { assertion: Some(_), header: Some(_), .. }
            | Credentials { assertion: Some(_), client_secret: Some(_), .. } => Err(AuthError::Failed),
            Credentials { assertion: Some(assertion), .. } => self.by_assertion(credentials, assertion).await,
            Credentials { header: Some(_), client_secret: Some(_), .. } => Err(AuthError::Several),
            Credentials { header: Some(header), .. } => self.by_header(credentials, header),
            Credentials { client_id: None, client_secret: None, .. } => Err(AuthError::Missing),
            Credentials { client_id: None, .. } => Err(AuthError::Failed),
            Credentials { client_id: Some(id), client_secret: Some(secret), network, .. } => {
                self.by_secret(network, id, || self.with_secret(id, secret, |post| post))
            }
            Credentials { client_id: Some(id), .. } => {
                let public = self.named(id).filter(|client| matches!(client.auth, ClientAuth::None));
                public.ok_or(AuthError::Failed)
            }
        }
    }

    fn by_header(
        &self,
        credentials: &Credentials<'_>,
        header: &[u8],
    ) -> Result<Arc<DeviceClient>, AuthError> {
        let basic = BasicCredentials::parse(header).map_err(|_| AuthError::Failed)?;
        let (name, _) = basic.decoded.as_ref().unwrap_or(&basic.raw);
        let client = self.by_secret(credentials.network, name, || {
            basic.readings().find_map(|(id, secret)| self.with_secret(id, secret.expose(), |_| true))
        })?;
        // A `client_id` beside the header must name the same client (CA-07, LG-03).
        if credentials.client_id.is_some_and(|id| id != client.id.as_str()) {
            return Err(AuthError::Failed);
        }
        Ok(client)
    }

    /// Looks at a secret, unless this network has shown too many wrong ones for the client that it calls `name`.
    fn by_secret(
        &self,
        network: &str,
        name: &str,
        look: impl FnOnce() -> Option<Arc<DeviceClient>>,
    ) -> Result<Arc<DeviceClient>, AuthError> {
        let now = self.now();
        self.failures.admit(name, network, now).map_err(AuthError::Throttled)?;
        look().ok_or_else(|| {
            self.failures.note(name, network, now);
            AuthError::Failed
        })
    }

    /// The client `id`, if `secret` is its own. A client that is unknown or has no secret costs the same work.
    fn with_secret(
        &self,
        id: &str,
        secret: &str,
        allowed: impl Fn(bool) -> bool,
    ) -> Option<Arc<DeviceClient>> {
        let presented = SecretHash::of(secret);
        let client = self.named(id);
        let (hash, next, allowed) = match client.as_ref().map(|client| &client.auth) {
            Some(ClientAuth::Secret { hash, next, post }) => (*hash, *next, allowed(*post)),
            _ => (SecretHash::OF_NOBODY, None, false),
        };
        let is_present = hash == presented;
        let is_next = next.unwrap_or(SecretHash::OF_NOBODY) == presented;
        client.filter(|_| allowed && (is_present || is_next))
    }

    pub(super) fn named(&self, id: &str) -> Option<Arc<DeviceClient>> {
        let id = id.parse::<ClientId>().ok()?;
        self.clients.find(&id).cloned()
    }
}
