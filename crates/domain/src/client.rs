//! Device clients: who may start a request, and what for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use device_grant_protocol::{AuthMethod, ClientId, ClientSecret, Scope};
use url::Url;

use crate::dpop::Dpop;
use crate::jws::SigningAlgorithm;
use crate::policy::Policies;
use crate::pool::PoolClient;
use crate::request::DeviceRequest;
use crate::time::Timestamp;

mod assertion;
mod auth;
mod directory;
mod keys;
pub mod registry;
mod secret;

use directory::Directory;

pub use assertion::{Audience, PrivateKeyJwt};
pub use auth::{Assertion, AuthError, Credentials};
pub use directory::{ClientSource, SourceError};
pub use keys::{ClientKeys, KeySource, KeysUnavailable};
pub use secret::{OtherSecret, SecretHash};

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
    /// How many requests it may start in a minute on each replica; `None`: as many as its networks may.
    pub starts_per_minute: Option<u32>,
    /// What is asked of its logins beyond the usual.
    pub policies: Policies,
    /// Whether it proves possession of a key.
    pub dpop: Dpop,
    /// For how long its devices can fetch tokens again whose answer was lost; `None`: not at all. See
    /// [`DeviceClient::redelivery_window`].
    pub redelivery: Option<Duration>,
}

/// How a client proves itself.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// A public client only names itself.
    None,
    /// By a secret.
    Secret {
        /// The secret.
        hash: SecretHash,
        /// Another that is good beside it.
        other: Option<OtherSecret>,
        /// Whether the secret may also come in the body. Basic always works (CA-01).
        post: bool,
    },
    /// By a JWT that it signs (RFC 7523, OpenID Connect Core section 9).
    PrivateKeyJwt(PrivateKeyJwt),
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

    /// For how long tokens of `request` can be fetched again whose answer was lost. Each poll must show that it comes from
    /// the client or from the holder of the request's key: else whoever has seen a code could fetch them too.
    pub fn redelivery_window(&self, request: &DeviceRequest) -> Option<Duration> {
        let is_proven = !matches!(self.auth, ClientAuth::None) || request.dpop_jkt.is_some();
        self.redelivery.filter(|_| is_proven)
    }
}

impl ClientAuth {
    /// Authentication by a secret that is known.
    pub fn secret(secret: &ClientSecret, post: bool) -> Self {
        Self::Secret { hash: SecretHash::of(secret.expose()), other: None, post }
    }

    /// Where it publishes its keys, if it does.
    pub fn jwks_uri(&self) -> Option<&Url> {
        match self {
            Self::PrivateKeyJwt(PrivateKeyJwt { keys: KeySource::At(uri), .. }) => Some(uri),
            _ => None,
        }
    }

    /// What it may sign assertions with.
    pub fn algorithms(&self) -> &[SigningAlgorithm] {
        match self {
            Self::PrivateKeyJwt(method) => &method.algorithms,
            Self::None | Self::Secret { .. } => &[],
        }
    }

    /// The methods it accepts, in the metadata's terms.
    pub fn methods(&self) -> &'static [AuthMethod] {
        match self {
            Self::None => &[AuthMethod::None],
            Self::Secret { post: false, .. } => &[AuthMethod::ClientSecretBasic],
            Self::Secret { post: true, .. } => &[AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost],
            Self::PrivateKeyJwt(_) => &[AuthMethod::PrivateKeyJwt],
        }
    }
}

/// The device clients: those of the configuration, those that are registered in the store, and those that a directory
/// elsewhere is asked for one by one.
#[derive(Default)]
pub struct Clients {
    known: ArcSwap<Known>,
    directory: Option<Directory>,
    /// What no client of the directory may be called.
    reserved: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Known {
    clients: BTreeMap<ClientId, Arc<DeviceClient>>,
    /// Whether some may be registered that have not been read yet.
    incomplete: bool,
    /// What is not a matter for the directory, with the clients of the pool that these have for themselves.
    taken: Taken,
}

/// What is registered in the store, whether it can be used or not. Nobody of a directory stands in for it: who is registered
/// with a key or with policies does not come back without them when the registration drops out.
#[derive(Debug, Default)]
pub struct Taken {
    /// Ids of clients, and of the clients of the pool that they have for themselves.
    pub names: BTreeSet<String>,
    /// Whether there are registrations that could not be read here, so that other clients of the pool may be theirs.
    pub some_unread: bool,
}

impl Known {
    fn new(clients: impl IntoIterator<Item = Arc<DeviceClient>>, mut taken: Taken, incomplete: bool) -> Self {
        let clients: BTreeMap<_, _> = clients.into_iter().map(|client| (client.id.clone(), client)).collect();
        taken.names.extend(clients.values().filter_map(|client| match &client.pool_client {
            PoolBinding::Own(own) => Some(own.client_id.clone()),
            PoolBinding::Shared => None,
        }));
        Self { clients, incomplete, taken }
    }

    fn has(&self, id: &ClientId) -> bool {
        self.clients.contains_key(id) || self.taken.names.contains(id.as_str())
    }
}

impl Clients {
    /// These, and others that the store is still to be asked for.
    pub fn and_others(clients: impl IntoIterator<Item = DeviceClient>) -> Self {
        Self::of(clients, true)
    }

    /// The same, and whoever `source` knows beside them. It is not asked for what is `reserved`: a client of the pool that
    /// somebody else uses already.
    #[must_use]
    pub fn and_of(self, source: Box<dyn ClientSource>, reserved: impl IntoIterator<Item = String>) -> Self {
        Self { directory: Some(Directory::new(source)), reserved: reserved.into_iter().collect(), ..self }
    }

    /// Knows these from now on, and that of the store no others can be used.
    pub fn replace(&self, clients: impl IntoIterator<Item = Arc<DeviceClient>>, taken: Taken) {
        self.known.store(Arc::new(Known::new(clients, taken, false)));
    }

    /// The client `id`, compared byte for byte (HI-12), as far as memory knows. Of a directory elsewhere
    /// [`DeviceGrant::client`](crate::DeviceGrant::client) asks first.
    pub fn find(&self, id: &ClientId, now: Timestamp) -> Option<Arc<DeviceClient>> {
        let known = self.known.load().clients.get(id).cloned();
        known.or_else(|| self.directory_for(id)?.client(id, now))
    }

    /// Whether `id` may be a client although [`Clients::find`] finds none.
    pub(crate) fn may_miss(&self, id: &ClientId, now: Timestamp) -> bool {
        let known = self.known.load();
        let asked = self.directory_beside(&known, id);
        known.incomplete || asked.is_some_and(|directory| !directory.is_nobody(id, now))
    }

    /// Those of the configuration and of the store, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<DeviceClient>> {
        self.known.load().clients.values().cloned().collect()
    }

    /// Whether there are others, which a directory elsewhere knows.
    pub fn has_directory(&self) -> bool {
        self.directory.is_some()
    }

    /// The directory, if `id` is a matter for it. Nobody is, until all that is registered was read.
    pub(crate) fn directory_for(&self, id: &ClientId) -> Option<&Directory> {
        let known = self.known.load();
        let all_read = !known.incomplete && !known.taken.some_unread;
        self.directory_beside(&known, id).filter(|_| all_read)
    }

    /// The directory, unless `id` is known to be somebody else's.
    fn directory_beside(&self, known: &Known, id: &ClientId) -> Option<&Directory> {
        self.directory.as_ref().filter(|_| !known.has(id) && !self.reserved.contains(id.as_str()))
    }

    fn of(clients: impl IntoIterator<Item = DeviceClient>, incomplete: bool) -> Self {
        let known = Known::new(clients.into_iter().map(Arc::new), Taken::default(), incomplete);
        Self { known: ArcSwap::from_pointee(known), ..Self::default() }
    }
}

impl FromIterator<DeviceClient> for Clients {
    fn from_iter<I: IntoIterator<Item = DeviceClient>>(clients: I) -> Self {
        Self::of(clients, false)
    }
}

/// A public client that may do nothing much.
#[cfg(test)]
pub(crate) fn sample(id: &str) -> DeviceClient {
    DeviceClient {
        id: id.parse().expect("a client_id"),
        name: id.to_owned(),
        auth: ClientAuth::None,
        pool_client: PoolBinding::Shared,
        scopes: Scope::default(),
        default_scope: Scope::default(),
        extra_scopes: Scope::default(),
        token_set: TokenSet { id: false, refresh: false },
        lifetime: None,
        grants: Grants { device_code: true, refresh_token: false },
        starts_per_minute: None,
        redelivery: None,
        policies: Policies::default(),
        dpop: Dpop::Off,
    }
}
