//! What this replica says of itself to a load balancer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use device_grant_domain::store::StoreProblem;

/// The health of this replica: fed by the server's background checks, read by `/readyz`.
#[derive(Debug, Default)]
pub struct Health {
    draining: AtomicBool,
    schema_seen: AtomicBool,
    store: Mutex<Option<String>>,
}

impl Health {
    /// From now on this replica wants no new work.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether [`Health::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Notes what the last check of the store found.
    pub fn note_store(&self, found: Result<(), StoreProblem>) {
        if found.is_ok() {
            self.schema_seen.store(true, Ordering::SeqCst);
        }
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) =
            found.err().map(|problem| match problem {
                // The client's words may name hosts; an operator finds them in the log.
                StoreProblem::Unavailable(_) => "the store does not answer".to_owned(),
                other => other.to_string(),
            });
    }

    /// What speaks against sending requests here at all. An outage that every replica shares does not: a balancer
    /// would take all of them out at once.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        if self.is_draining() {
            Some("draining")
        } else if !self.schema_seen.load(Ordering::SeqCst) {
            Some("the store's schema has not been seen yet")
        } else {
            None
        }
    }

    /// What the last check of the store found, in words for an operator.
    pub fn store_problem(&self) -> Option<String> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
