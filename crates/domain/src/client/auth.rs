//! Who sends a request (RFC 6749 section 2.3), found out before anything else is looked at (TP-19).

use std::sync::Arc;
use std::time::Duration;

use device_grant_protocol::{BasicCredentials, ClientId};

use super::registry::{Registry, StoredSecret};
use super::{ClientAuth, DeviceClient, SecretHash};
use crate::audit::{About, Event};
use crate::keyring::Purpose;
use crate::network::Network;
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
    pub network: Network,
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

impl Credentials<'_> {
    /// The clients that the request names, however it does so.
    fn named(&self) -> Vec<ClientId> {
        let basic = self.header.and_then(|header| BasicCredentials::parse(header).ok());
        let readings = basic.iter().flat_map(BasicCredentials::readings).map(|(id, _)| id.as_str());
        let mut named: Vec<ClientId> =
            readings.chain(self.client_id).filter_map(|id| id.parse().ok()).collect();
        named.dedup();
        named
    }
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
        let named = credentials.named();
        for id in &named {
            // What is not known then is undecided.
            let _ = self.learn(id, Some(credentials.network)).await;
        }
        let outcome = self.authenticate_known(credentials).await;
        if matches!(outcome, Err(AuthError::Failed)) {
            for id in &named {
                if self.learn_anew(id, credentials.network).await {
                    return self.authenticate_known(credentials).await;
                }
            }
        }
        outcome
    }

    async fn authenticate_known(
        &self,
        credentials: &Credentials<'_>,
    ) -> Result<Arc<DeviceClient>, AuthError> {
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
                self.by_secret(*network, id, || self.with_secret(id, secret, |post| post))
            }
            Credentials { client_id: Some(id), .. } => {
                let public = self.named(id)?.filter(|client| matches!(client.auth, ClientAuth::None));
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
            for (id, secret) in basic.readings() {
                if let Some(client) = self.with_secret(id, secret.expose(), |_| true)? {
                    return Ok(Some(client));
                }
            }
            Ok(None)
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
        network: Network,
        name: &str,
        look: impl FnOnce() -> Result<Option<Arc<DeviceClient>>, AuthError>,
    ) -> Result<Arc<DeviceClient>, AuthError> {
        let now = self.now();
        let about = About { network: Some(network), ..About::default() };
        let network_name = network.to_string();
        self.wrong_secrets.reserve(name, &network_name, now).map_err(|wait| {
            self.audit(Event::Authenticate, "too_many_wrong_secrets", about);
            AuthError::Throttled(wait)
        })?;
        let looked = look();
        if !matches!(looked, Ok(None)) {
            self.wrong_secrets.give_back(name, &network_name, now);
        }
        looked?.ok_or_else(|| {
            // Only a client that there is: what a stranger calls itself may be anything, a secret in the wrong place even.
            let client = name.parse().ok().and_then(|id| self.clients.find(&id, now));
            let about = About { client: client.as_ref().map(|client| &client.id), ..about };
            self.audit(Event::Authenticate, "wrong_secret", about);
            AuthError::Failed
        })
    }

    /// The client `id`, if `secret` is its own. A client that is unknown or has no secret costs the same work.
    fn with_secret(
        &self,
        id: &str,
        secret: &str,
        allowed: impl Fn(bool) -> bool,
    ) -> Result<Option<Arc<DeviceClient>>, AuthError> {
        let client = self.named(id)?;
        let (hash, other, allowed) = match client.as_ref().map(|client| &client.auth) {
            Some(ClientAuth::Secret { hash, other, post }) => (*hash, *other, allowed(*post)),
            _ => (SecretHash::OF_NOBODY, None, false),
        };
        let other = other.filter(|other| other.until.is_none_or(|until| self.now() < until));
        let other = other.map_or(SecretHash::OF_NOBODY, |other| other.hash);
        let is_of = |hash: SecretHash| {
            hash.is_of(secret, &self.keyring).map_err(|lacking| {
                tracing::error!(client = id, problem = %lacking, "a client's secret cannot be checked here");
                AuthError::Undecided
            })
        };
        let (is_hash, is_other) = (is_of(hash)?, is_of(other)?);
        let client = client.filter(|_| allowed && (is_hash || is_other));
        if let Some(client) = &client {
            self.renew_hash(&client.id, if is_hash { hash } else { other }, secret);
        }
        Ok(client)
    }

    /// Makes the hash of a good secret anew under the active durable key, so that the old key can go some day.
    fn renew_hash(&self, id: &ClientId, used: SecretHash, secret: &str) {
        let active = self.keyring.active(Purpose::Durable);
        let SecretHash::Keyed { key, .. } = used else { return };
        if key == active {
            return;
        }
        let (old, fresh) = (StoredSecret::from(used), SecretHash::keyed(secret, &self.keyring));
        let (records, keyring, id) = (Arc::clone(&self.records), Arc::clone(&self.keyring), id.clone());
        self.tasks.spawn(async move {
            let renewed = Registry::new(&*records, &keyring).change(&id, |registration| {
                let same = |kept: &&mut StoredSecret| old.is_same_as(kept);
                let Some(kept) = registration.secrets.iter_mut().find(same) else { return false };
                *kept = StoredSecret::from(fresh).until(kept.until);
                true
            });
            if let Err(problem) = renewed.await {
                tracing::warn!(client = %id, %problem, "the hash of a client's secret was not made anew");
            }
        });
    }

    /// The client `id`; not known yet is not unknown.
    pub(super) fn named(&self, id: &str) -> Result<Option<Arc<DeviceClient>>, AuthError> {
        let Ok(id) = id.parse::<ClientId>() else { return Ok(None) };
        let now = self.now();
        match self.clients.find(&id, now) {
            None if self.clients.may_miss(&id, now) => Err(AuthError::Undecided),
            found => Ok(found),
        }
    }
}
