//! Chores of a process that is frozen between two invocations: done when one comes, by the wall clock, which goes on meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use device_grant_domain::{Clock as _, SystemClock};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::commands::chores::Chore;

/// Is dropped when the chore has nothing more to do.
type Call = mpsc::Sender<Infallible>;

/// Chores that wait to be called.
#[derive(Default)]
pub(super) struct Called {
    calls: Vec<mpsc::Sender<Call>>,
    tasks: JoinSet<()>,
}

impl Called {
    /// Adds a chore that is due at first after `first`.
    pub(super) fn add(&mut self, first: Duration, chore: Box<dyn Chore>) {
        let (sender, calls) = mpsc::channel(1);
        self.calls.push(sender);
        self.tasks.spawn(when_called(first, chore, calls));
    }

    /// The tasks, which never end.
    pub(super) fn take_tasks(&mut self) -> JoinSet<()> {
        std::mem::take(&mut self.tasks)
    }

    /// Does what is due, and waits for it no longer than `patience`; what is not done then goes on.
    pub(super) async fn now(&self, patience: Duration) {
        let (call, mut all_done) = mpsc::channel(1);
        for chore in &self.calls {
            // One that has a call before it is at work still.
            let _ = chore.try_send(call.clone());
        }
        drop(call);
        if tokio::time::timeout(patience, all_done.recv()).await.is_err() {
            tracing::debug!("not everything that is due is done yet");
        }
    }
}

async fn when_called(first: Duration, mut chore: Box<dyn Chore>, mut calls: mpsc::Receiver<Call>) {
    let mut due = SystemClock.now() + first;
    while let Some(call) = calls.recv().await {
        if SystemClock.now() >= due {
            let rest = chore.turn().await;
            due = SystemClock.now() + rest;
        }
        drop(call);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;

    struct Count(Arc<AtomicU32>, Duration);

    #[async_trait]
    impl Chore for Count {
        async fn turn(&mut self) -> Duration {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1
        }
    }

    struct Stuck(Arc<Notify>);

    #[async_trait]
    impl Chore for Stuck {
        async fn turn(&mut self) -> Duration {
            self.0.notified().await;
            Duration::ZERO
        }
    }

    const LONG: Duration = Duration::from_hours(1);

    /// What is due is done before the request is answered, and nothing else is.
    #[tokio::test]
    async fn what_is_due_is_done_when_an_invocation_comes() {
        let counts = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
        let mut called = Called::default();
        for (count, (first, rest)) in
            counts.iter().zip([(Duration::ZERO, Duration::ZERO), (Duration::ZERO, LONG), (LONG, LONG)])
        {
            called.add(first, Box::new(Count(Arc::clone(count), rest)));
        }
        for _ in 0..3 {
            called.now(LONG).await;
        }
        assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [3, 1, 0]);
    }

    /// A chore that hangs holds up neither the requests nor the other chores.
    #[tokio::test]
    async fn a_chore_that_hangs_holds_nothing_up() {
        let (count, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let mut called = Called::default();
        called.add(Duration::ZERO, Box::new(Stuck(Arc::clone(&go_on))));
        called.add(Duration::ZERO, Box::new(Count(Arc::clone(&count), Duration::ZERO)));
        for _ in 0..4 {
            called.now(Duration::from_millis(20)).await;
        }
        assert_eq!(count.load(Ordering::SeqCst), 4);
    }
}
