//! The port to a load balancer that signs people in.

use std::fmt;

use async_trait::async_trait;

use crate::pool::Account;

/// Why nobody is signed in by what a balancer sent along.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BalancerError {
    /// It does not hold: forged, for somebody else, or too old. The words are for an operator.
    #[error("what the load balancer sent is refused: {0}")]
    Refused(&'static str),
    /// It cannot be checked now.
    #[error("what the load balancer sent cannot be checked: {0}")]
    Unavailable(String),
}

/// A load balancer that signs people in before it passes their requests on, and says who they are.
#[async_trait]
pub trait BalancerSignIn: fmt::Debug + Send + Sync + 'static {
    /// Who `data` says is signed in, if the balancer did say it. `identity` is what it says beside it.
    async fn account(&self, data: &str, identity: Option<&str>) -> Result<Account, BalancerError>;
}
