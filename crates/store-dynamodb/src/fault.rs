//! What goes wrong with what the table holds. What goes wrong with a call is an [`AwsProblem`](device_grant_aws::AwsProblem).

use device_grant_domain::store::Unavailable;

/// An item that this program did not write.
#[derive(Debug, thiserror::Error)]
#[error("an item of the table is broken: table {table}, key {key}, attribute {attribute}")]
pub(crate) struct Broken {
    pub(crate) table: String,
    pub(crate) key: String,
    pub(crate) attribute: &'static str,
}

impl From<Broken> for Unavailable {
    fn from(broken: Broken) -> Self {
        Self(Box::new(broken))
    }
}
