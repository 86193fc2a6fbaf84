//! Where a client's public keys come from: its registration, and nothing else (CA-15).

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use crate::jws::KeySet;

/// Where the keys of a client are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In its registration.
    Registered(Arc<KeySet>),
    /// At its `jwks_uri` (RFC 7591 section 2).
    At(Url),
}

/// The keys of a client cannot be had right now, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeysUnavailable(pub String);

/// The keys that clients publish.
#[async_trait]
pub trait ClientKeys: Send + Sync + 'static {
    /// The keys at `uri`; with `seen`, in which a key was missing, only newer ones. `None`: there are no newer ones, or
    /// they were looked for a moment ago. The last good keys serve while new ones cannot be had.
    async fn keys(
        &self,
        uri: &Url,
        seen: Option<&Arc<KeySet>>,
    ) -> Result<Option<Arc<KeySet>>, KeysUnavailable>;
}
