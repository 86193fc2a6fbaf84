//! What the fuzz targets share: a service with a pool that only listens, and a key that signs.

mod pool;
mod service;
mod signer;

pub use pool::Heard;
pub use service::{CLIENT, Fixture, ISSUER, PUBLIC_URL, SIGNING_CLIENT};
pub use signer::Signer;

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime starts")
});

/// Waits for `work`.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(work)
}

/// The two texts of an input, parted by its first line feed: no JSON needs one.
pub fn halves(data: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(data).ok()?.split_once('\n')
}

/// `text` with one character replaced, where `at` says.
pub fn changed(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at % bytes.len();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("what is changed is ASCII")
}
