//! The real parts: programs that `cargo xtask parts` has fetched, started as processes of their own.

mod dynamodb_local;
mod process;

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

pub use dynamodb_local::DynamoDbLocal;
pub use process::Process;

/// The directory of one fetched part.
///
/// They lie in `parts` of the directory that cargo builds into, or where the environment variable `DEVICE_GRANT_PARTS`
/// says.
///
/// # Panics
/// When the part has not been fetched, with the command that fetches it: a test that needs a part fails without it.
pub fn directory(part: &str) -> PathBuf {
    let parts = root();
    let directory = parts.join(part);
    let made = directory.join("made-from").is_file();
    assert!(made, "{part} is not in {}: run `cargo xtask parts`", parts.display());
    directory
}

/// The directory that cargo builds into.
pub fn target() -> PathBuf {
    let program = env::current_exe().expect("a test knows its own path");
    // target/debug/deps/test-… or target/debug/program, or with a target triple one directory deeper.
    let marked = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    // A copy has no tag.
    let in_deps = program.parent().is_some_and(|directory| directory.ends_with("deps"));
    let above = if in_deps { 3 } else { 2 };
    marked.map_or_else(|| program.ancestors().nth(above).unwrap_or(&program).to_owned(), Path::to_owned)
}

/// A TCP port of the loopback interface that nothing listened on a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn root() -> PathBuf {
    env::var_os("DEVICE_GRANT_PARTS").map_or_else(|| target().join("parts"), PathBuf::from)
}
