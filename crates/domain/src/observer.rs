//! The port to whoever counts what happens, for the operators.

use device_grant_protocol::ClientId;

/// Whoever counts. Nothing secret is told; both names come from short fixed lists.
pub trait Observer: Send + Sync + 'static {
    /// `event` has happened and ended in `outcome`. `client` is a client that there is.
    fn happened(&self, event: &'static str, outcome: &'static str, client: Option<&ClientId>);
}

/// Nobody counts.
impl Observer for () {
    fn happened(&self, _: &'static str, _: &'static str, _: Option<&ClientId>) {}
}
