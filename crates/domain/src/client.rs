//! Device clients: who may start a request, and what for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use device_grant_protocol::{AuthMethod, BasicCredentials, ClientId, ClientSecret, Scope};

use crate::policy::Policies;
use crate::pool::PoolClient;

/// A device client, as an operator registered it.
#[derive(Clone, Debug)]
pub struct DeviceClient {
    /// Its `client_id`.
    pub id: ClientId,
    /// What people see on the confirmation page.
    pub name: String,
    /// How it proves itself.
    pub auth: ClientAuth,
    /// Which client of the pool its tokens are made for.
    pub pool_client: PoolBinding,
    /// The most it may ask for.
    pub scopes: Scope,
    /// What it gets when it asks for nothing.
    pub default_scope: Scope,
    /// What the pool is asked for in addition, `offline_access` for example.
    pub extra_scopes: Scope,
    /// Which kinds of token are handed over.
    pub token_set: TokenSet,
    /// The life of its codes, where it differs from the service's.
    pub lifetime: Option<Duration>,
    /// Which grants it may use.
    pub grants: Grants,
    /// What is asked of its logins beyond the usual.
    pub policies: Policies,
}

/// How a client proves itself.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// A public client only names itself.
    None,
    /// By a secret.
    Secret {
        /// SHA-256 of the secret.
        hash: [u8; 32],
        /// Whether the secret may also come in the body. Basic always works (CA-01).
        post: bool,
    },
}

/// Which client of the pool a device client's tokens are made for.
#[derive(Clone, Debug)]
pub enum PoolBinding {
    /// The service's own, shared by device clients: refresh tokens are handed out sealed.
    Shared,
    /// One of its own: tokens are handed out as they are.
    Own(PoolClient),
}

/// Which kinds of token are handed over; an access token always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// ID tokens too.
    pub id: bool,
    /// Refresh tokens too.
    pub refresh: bool,
}

/// Which grants a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// The device code grant.
    pub device_code: bool,
    /// The refresh token grant.
    pub refresh_token: bool,
}

impl DeviceClient {
    /// The most its tokens may be good for: what it may ask for, and what is asked for in addition.
    pub fn ceiling(&self) -> Scope {
        self.scopes.union(&self.extra_scopes)
    }
}

impl ClientAuth {
    /// Authentication by a secret that is known.
    pub fn secret(secret: &ClientSecret, post: bool) -> Self {
        Self::Secret { hash: sha256(secret.expose()), post }
    }

    /// The methods it accepts, in the metadata's terms.
    pub fn methods(&self) -> &'static [AuthMethod] {
        match self {
            Self::None => &[AuthMethod::None],
            Self::Secret { post: false, .. } => &[AuthMethod::ClientSecretBasic],
            Self::Secret { post: true, .. } => &[AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost],
        }
    }
}

/// What a request says about its sender.
#[derive(Default)]
pub struct Credentials<'a> {
    /// The value of its `Authorization` header.
    pub header: Option<&'a [u8]>,
    /// `client_id`, from the body or, in the sample's way, from the query.
    pub client_id: Option<&'a str>,
    /// `client_secret`, from the body.
    pub client_secret: Option<&'a str>,
    /// Whether a `client_assertion` came along.
    pub assertion: bool,
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
    /// Unknown client, wrong secret, wrong method: nobody is told which.
    #[error("client authentication failed")]
    Failed,
}

/// The registered clients.
#[derive(Debug, Default)]
pub struct Clients(BTreeMap<ClientId, Arc<DeviceClient>>);

impl Clients {
    /// The client `id`, compared byte for byte (HI-12).
    pub fn find(&self, id: &ClientId) -> Option<&Arc<DeviceClient>> {
        self.0.get(id)
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &DeviceClient> {
        self.0.values().map(Arc::as_ref)
    }

    /// Finds out who sends a request, before anything else is looked at (TP-19).
    pub fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Arc<DeviceClient>, AuthError> {
        match credentials {
            // A JWT among them makes it a matter of the client, not of the form (RFC 7521 section 4.2.1).
            Credentials { assertion: true, .. } => Err(AuthError::Failed),
            Credentials { header: Some(_), client_secret: Some(_), .. } => Err(AuthError::Several),
            Credentials { header: Some(header), client_id, .. } => self.by_header(header, *client_id),
            Credentials { client_id: None, client_secret: None, .. } => Err(AuthError::Missing),
            Credentials { client_id: None, .. } => Err(AuthError::Failed),
            Credentials { client_id: Some(id), client_secret, .. } => self.by_body(id, *client_secret),
        }
    }

    fn by_header(&self, header: &[u8], client_id: Option<&str>) -> Result<Arc<DeviceClient>, AuthError> {
        let credentials = BasicCredentials::parse(header).map_err(|_| AuthError::Failed)?;
        let reading =
            credentials.readings().find_map(|(id, secret)| self.with_secret(id, secret.expose(), |_| true));
        let client = reading.ok_or(AuthError::Failed)?;
        // A `client_id` beside the header must name the same client (CA-07, LG-03).
        if client_id.is_some_and(|id| id != client.id.as_str()) {
            return Err(AuthError::Failed);
        }
        Ok(client)
    }

    fn by_body(&self, id: &str, secret: Option<&str>) -> Result<Arc<DeviceClient>, AuthError> {
        let found = match secret {
            Some(secret) => self.with_secret(id, secret, |post| post),
            None => self.named(id).filter(|client| matches!(client.auth, ClientAuth::None)),
        };
        found.ok_or(AuthError::Failed)
    }

    fn with_secret(
        &self,
        id: &str,
        secret: &str,
        allowed: impl Fn(bool) -> bool,
    ) -> Option<Arc<DeviceClient>> {
        let presented = sha256(secret);
        self.named(id).filter(|client| match &client.auth {
            ClientAuth::None => false,
            ClientAuth::Secret { hash, post } => {
                allowed(*post) && verify_slices_are_equal(hash, &presented).is_ok()
            }
        })
    }

    fn named(&self, id: &str) -> Option<Arc<DeviceClient>> {
        let id = id.parse::<ClientId>().ok()?;
        self.find(&id).cloned()
    }
}

impl FromIterator<DeviceClient> for Clients {
    fn from_iter<I: IntoIterator<Item = DeviceClient>>(clients: I) -> Self {
        Self(clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect())
    }
}

fn sha256(secret: &str) -> [u8; 32] {
    digest(&SHA256, secret.as_bytes()).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}
