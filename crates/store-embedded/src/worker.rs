//! Threads that own a connection each, so that SQLite never blocks an async thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use device_grant_domain::store::Unavailable;
use rusqlite::Connection;
use tokio::sync::oneshot;

/// The most writes that share one commit.
const BATCH: usize = 64;

/// Why a call to the file failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The commit failed that this write was part of.
    #[error("the write was not committed: {0}")]
    NotCommitted(Arc<rusqlite::Error>),
    /// A row that this program did not write.
    #[error("a row of the store is broken: table {table}, key {key}, column {column}")]
    Broken { table: &'static str, key: String, column: &'static str },
    /// The thread is gone.
    #[error("the store was closed")]
    Closed,
}

impl From<Fault> for Unavailable {
    fn from(fault: Fault) -> Self {
        Self(Box::new(fault))
    }
}

type Reply = Box<dyn FnOnce(Result<(), Fault>) + Send>;
/// Runs with the connection, or learns why it cannot; answers once the outcome is certain.
type Job = Box<dyn FnOnce(Result<&Connection, Fault>) -> Reply + Send>;

/// A thread with a connection; it ends, its work done, when this is dropped.
pub(crate) struct Worker {
    writes: bool,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// A thread that runs each call in a transaction. Calls that wait for the same commit share it.
    pub(crate) fn writer(connection: Connection) -> std::io::Result<Self> {
        Self::start("store-writer", true, move |jobs| {
            while let Ok(first) = jobs.recv() {
                let batch = std::iter::once(first).chain(jobs.try_iter()).take(BATCH).collect();
                write(&connection, batch);
            }
        })
    }

    /// A thread that runs calls which only read. They see every write that was acknowledged before they began.
    pub(crate) fn reader(connection: Connection) -> std::io::Result<Self> {
        Self::start("store-reader", false, move |jobs| {
            for job in jobs {
                job(Ok(&connection))(Ok(()));
            }
        })
    }

    /// Runs `act` on the thread. A failed act of a writer leaves no trace.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let writes = self.writes;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = connection
                .and_then(|connection| if writes { apart(connection, act) } else { act(connection) });
            // Nobody may be listening any more; the work is done all the same.
            Box::new(move |committed| drop(answer.send(committed.and(outcome))))
        });
        self.jobs.as_ref().ok_or(Fault::Closed)?.send(job).map_err(|_| Fault::Closed)?;
        answered.await.map_err(|_| Fault::Closed)?
    }

    fn start(
        name: &str,
        writes: bool,
        run: impl FnOnce(Receiver<Job>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, received) = channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(received))?;
        Ok(Self { writes, jobs: Some(jobs), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened, and there is nothing left to save.
            drop(thread.join());
        }
    }
}

/// Runs a batch in one transaction, and answers once it is on the disk.
fn write(connection: &Connection, batch: Vec<Job>) {
    let begun = shared(connection.execute_batch("BEGIN IMMEDIATE"));
    let replies: Vec<_> = batch
        .into_iter()
        .map(|job| job(begun.clone().map(|()| connection).map_err(Fault::NotCommitted)))
        .collect();
    let committed = begun.and_then(|()| shared(connection.execute_batch("COMMIT")));
    if committed.is_err() && !connection.is_autocommit() {
        // Should this fail as well then the next BEGIN does, and says so.
        drop(connection.execute_batch("ROLLBACK"));
    }
    for reply in replies {
        reply(committed.clone().map_err(Fault::NotCommitted));
    }
}

fn shared<T>(outcome: rusqlite::Result<T>) -> Result<T, Arc<rusqlite::Error>> {
    outcome.map_err(Arc::new)
}

/// One act of a batch: if it fails the others stand.
fn apart<T>(connection: &Connection, act: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
    connection.execute_batch("SAVEPOINT act")?;
    let outcome = act(connection);
    if outcome.is_err() {
        connection.execute_batch("ROLLBACK TO act")?;
    }
    connection.execute_batch("RELEASE act")?;
    outcome
}
