//! Writing a transition, also when the answer to the write is lost.

use std::time::Duration;

use crate::entropy::below;
use crate::request::{DeviceRequest, Transition};
use crate::service::DeviceGrant;
use crate::store::{Consistency, TransitionError, Unavailable};

const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(40);

/// Why a transition was not committed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// Somebody else was first; this stands there now. `None` when the request is gone.
    Lost(Option<Box<DeviceRequest>>),
    /// The store does not answer; the write may or may not have happened.
    Unavailable(Unavailable),
}

impl DeviceGrant {
    /// Writes `transition`. A write whose answer is lost is looked up again: if its operation id stands there it was
    /// ours and counts as done (ST-09); if the old version stands there it did not happen and is tried again.
    pub(crate) async fn commit(&self, transition: &Transition) -> Result<(), CommitError> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let unavailable = match self.store.transition(transition).await {
                Ok(()) => return Ok(()),
                Err(TransitionError::Conflict(present)) => return settle(transition, Some(present)),
                Err(TransitionError::NotFound) => return settle(transition, None),
                Err(TransitionError::Unavailable(unavailable)) => unavailable,
            };
            match self.store.load(&transition.id, Consistency::Strong).await {
                Ok(Some(present)) if present.version == transition.expects_version => {}
                Ok(present) => return settle(transition, present.map(Box::new)),
                Err(_) => {}
            }
            if tries == TRIES {
                return Err(CommitError::Unavailable(unavailable));
            }
            // Replicas that were cut off together do not come back together.
            let jitter = below(&*self.entropy, u32::try_from(pause.as_millis()).unwrap_or(1).max(1));
            tokio::time::sleep(pause / 2 + Duration::from_millis(jitter.into())).await;
            (tries, pause) = (tries + 1, pause * 2);
        }
    }
}

fn settle(transition: &Transition, present: Option<Box<DeviceRequest>>) -> Result<(), CommitError> {
    match present {
        Some(present) if present.op == transition.op => Ok(()),
        other => Err(CommitError::Lost(other)),
    }
}
