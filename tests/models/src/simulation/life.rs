//! The life of a replica: it may end at any instruction that others could see.

use std::future::pending;

use tokio_util::sync::CancellationToken;

/// Ends once, for everything that the replica has begun.
#[derive(Clone, Default)]
pub(crate) struct Life(CancellationToken);

impl Life {
    /// The replica dies.
    pub(crate) fn end(&self) {
        self.0.cancel();
    }

    /// Whether the replica has died.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_cancelled()
    }

    /// `work`, as far as the replica comes with it. A dead replica's work neither ends nor fails: nobody is there.
    pub(crate) async fn while_it_lasts<T>(&self, work: impl Future<Output = T>) -> T {
        match self.unless_it_ends(work).await {
            Some(done) => done,
            None => pending().await,
        }
    }

    /// What somebody hears who waits for the replica: its answer, or that the connection is gone.
    pub(crate) async fn unless_it_ends<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.0.cancelled() => None,
            done = work => Some(done),
        }
    }
}
