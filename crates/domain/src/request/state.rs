//! Where a request stands, with what only that state has.

use serde::{Deserialize, Serialize};

use crate::ids::AttemptId;
use crate::time::Timestamp;

/// Where a request stands. Expiry is not a state: it follows from the clock (ST-06).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestState {
    /// Nobody has decided.
    Pending,
    /// A person approved and came back from the pool with a code, which is being exchanged.
    Authorized(Claim),
    /// The token set waits in the mailbox.
    Approved(Approval),
    /// The token set was handed over; for a while it may be fetched again, where the client has that.
    Redeemed(Option<Redelivery>),
    /// The person said no.
    Denied,
    /// The device gave its code up. To everybody this is as if the codes had run out.
    Cancelled,
}

/// A name for each [`RequestState`], as conditional writes and logs use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// See [`RequestState::Pending`].
    Pending,
    /// See [`RequestState::Authorized`].
    Authorized,
    /// See [`RequestState::Approved`].
    Approved,
    /// See [`RequestState::Redeemed`].
    Redeemed,
    /// See [`RequestState::Denied`].
    Denied,
    /// See [`RequestState::Cancelled`].
    Cancelled,
}

/// A code that is being exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The trip that brought the code.
    pub attempt: AttemptId,
    /// Until then only the holder of the current fence may exchange.
    pub lease_until: Timestamp,
    /// The code and its verifier, in the mailbox.
    pub sealed: Vec<u8>,
}

/// Tokens that wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Approval {
    /// The trip that brought them.
    pub attempt: AttemptId,
    /// When they were stored.
    pub approved_at: Timestamp,
    /// Until when the device can have them (TP-11).
    pub redeemable_until: Timestamp,
    /// The token set, in the mailbox.
    pub sealed: Vec<u8>,
}

/// Tokens that were handed over, and may have got lost on their way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redelivery {
    /// Until when the device can have them again.
    pub until: Timestamp,
    /// The token set, in the mailbox, as it waited before.
    pub sealed: Vec<u8>,
}

impl RequestState {
    /// The state's name.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Pending => StateName::Pending,
            Self::Authorized(_) => StateName::Authorized,
            Self::Approved(_) => StateName::Approved,
            Self::Redeemed(_) => StateName::Redeemed,
            Self::Denied => StateName::Denied,
            Self::Cancelled => StateName::Cancelled,
        }
    }
}

impl StateName {
    /// The name as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authorized => "authorized",
            Self::Approved => "approved",
            Self::Redeemed => "redeemed",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
        }
    }
}
