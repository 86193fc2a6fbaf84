//! A process that is killed in the middle of its writes.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, io};

use device_grant_domain::RequestId;
use device_grant_domain::request::StateName;
use device_grant_domain::store::{Consistency, RequestStore as _};
use device_grant_store_embedded::{EmbeddedStore, OpenError};
use device_grant_testkit::store_suite::samples::{START, approved, commit, op};
use tokio::task::JoinSet;

use crate::support::Place;

/// Names the file to a second copy of this test, which writes to it until it is killed.
const FILE: &str = "DEVICE_GRANT_CRASH_TEST_FILE";
/// How often a process is killed.
const ROUNDS: usize = 200;

/// ST-10, ST-11: what was acknowledged is there after the process was killed, and a dead owner shuts nobody out.
#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    if let Some(file) = env::var_os(FILE) {
        return write_until_killed(file).await;
    }
    let place = Place::new();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let fresh = round_of_writes(&place.file(), 20 + 7 * (round % 10));
        all_are_there(&place.file(), &fresh, &format!("round {round}")).await;
        acknowledged.extend(fresh);
    }
    all_are_there(&place.file(), &acknowledged, "the end").await;
    // Not caught like what `println!` writes: how much was tried belongs to the result.
    let all = acknowledged.len();
    writeln!(io::stderr(), "{ROUNDS} writers killed, {all} writes acknowledged, none lost").unwrap();
}

async fn all_are_there(file: &Path, acknowledged: &[RequestId], when: &str) {
    let store = EmbeddedStore::open(file).unwrap();
    for id in acknowledged {
        let request = store.load(id, Consistency::Strong).await.unwrap();
        let request = request.unwrap_or_else(|| panic!("{when}: {id} is lost"));
        assert_eq!(request.state.name(), StateName::Redeemed, "{when}: {id}");
    }
}

/// Starts a writer, kills it after so many acknowledgements, and gives back all it has acknowledged.
fn round_of_writes(file: &Path, kill_after: usize) -> Vec<RequestId> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::acknowledged_writes_survive_a_kill", "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).split(b'\n');
    let mut acknowledged: Vec<_> = lines.by_ref().take(kill_after).collect();
    assert!(matches!(EmbeddedStore::open(file), Err(OpenError::InUse { .. })));
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had still said; the last line may be torn.
    acknowledged.extend(lines);
    assert!(acknowledged.len() >= kill_after, "{acknowledged:?}");
    let lines = acknowledged.into_iter().map(|line| String::from_utf8(line.unwrap()).unwrap());
    lines.filter_map(|line| line.strip_suffix('.').map(RequestId::from_stored)).collect()
}

async fn write_until_killed(file: OsString) {
    let store = std::sync::Arc::new(EmbeddedStore::open(file).unwrap());
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let store = std::sync::Arc::clone(&store);
        writers.spawn(async move {
            loop {
                let request = approved(&*store, vec![1; 3000]).await;
                let request = commit(&*store, &request, request.redeem(START, op())).await;
                // One write for one line, and a full stop to tell a whole one by.
                io::stderr().write_all(format!("{}.\n", request.id).as_bytes()).unwrap();
            }
        });
    }
    writers.join_all().await;
}
