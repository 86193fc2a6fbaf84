//! The secret of a pool client: as it was configured, or as somebody keeps it who may exchange it while we run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use device_grant_protocol::ClientSecret;

/// A secret of a pool client. Clones share it: what replaces it in one place replaces it in all.
#[derive(Clone)]
pub struct PoolSecret(Arc<Kept>);

struct Kept {
    present: ArcSwapOption<ClientSecret>,
    /// Where it is kept, if it can be had again there.
    place: Option<String>,
    refused: AtomicBool,
}

impl PoolSecret {
    /// One that is kept at `place`, and not known yet.
    pub fn kept_at(place: impl Into<String>) -> Self {
        Self::new(None, Some(place.into()))
    }

    /// The secret as it is now; `None` while it is not known yet.
    pub fn present(&self) -> Option<Arc<ClientSecret>> {
        self.0.present.load_full()
    }

    /// Where it is kept, if it can be had again there.
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// Puts another in its place. Says whether that is another indeed.
    pub fn replace(&self, secret: ClientSecret) -> bool {
        let before = self.0.present.swap(Some(Arc::new(secret)));
        let after = self.present();
        before.as_ref().map(|secret| secret.expose()) != after.as_ref().map(|secret| secret.expose())
    }

    /// The pool has refused it. Says whether there may be another where it is kept.
    pub fn refuse(&self) -> bool {
        self.0.refused.store(true, Ordering::Relaxed);
        self.0.place.is_some()
    }

    /// Whether the pool has refused it since this was asked last.
    pub fn was_refused(&self) -> bool {
        self.0.refused.swap(false, Ordering::Relaxed)
    }

    fn new(secret: Option<ClientSecret>, place: Option<String>) -> Self {
        let present = ArcSwapOption::from_pointee(secret);
        Self(Arc::new(Kept { present, place, refused: AtomicBool::new(false) }))
    }
}

impl From<ClientSecret> for PoolSecret {
    fn from(secret: ClientSecret) -> Self {
        Self::new(Some(secret), None)
    }
}

impl fmt::Debug for PoolSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSecret").field("place", &self.0.place).finish_non_exhaustive()
    }
}
