//! What goes wrong on the way to the table and back.

use std::error::Error;

use device_grant_domain::store::Unavailable;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The call itself.
    #[error("{operation}: {told}")]
    Call {
        operation: &'static str,
        /// What the SDK's errors say, outermost first. Not the error itself: its `Debug` holds the whole answer.
        told: String,
    },
    /// An item that this program did not write.
    #[error("an item of the table is broken: table {table}, key {key}, attribute {attribute}")]
    Broken { table: String, key: String, attribute: &'static str },
}

impl Fault {
    pub(crate) fn call(operation: &'static str, error: &dyn Error) -> Self {
        let mut told = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            told = format!("{told}: {inner}");
            source = inner.source();
        }
        Self::Call { operation, told }
    }
}

impl From<Fault> for Unavailable {
    fn from(fault: Fault) -> Self {
        Self(Box::new(fault))
    }
}

/// A call of that name that failed for a reason that no condition foresees, throttling among them.
pub(crate) fn unavailable(operation: &'static str, error: &dyn Error) -> Unavailable {
    Fault::call(operation, error).into()
}
