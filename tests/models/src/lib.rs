//! What no test of single steps shows: whole logins under every mishap that replicas, store, pool and wire are capable of.

pub mod protocol;
pub mod simulation;

use device_grant_domain::request::RequestState;

/// Whether a write from `before` to `after` brings a decided request back to life. Tokens that nobody knows of may wait again
/// if none `has_left`; where they can be fetched again, that may begin anew.
fn revives(before: &RequestState, after: &RequestState, has_left: bool) -> bool {
    match (before, after) {
        (RequestState::Pending | RequestState::Authorized(_) | RequestState::Approved(_), _)
        | (RequestState::Redeemed(Some(_)), RequestState::Redeemed(Some(_))) => false,
        (RequestState::Redeemed(None), RequestState::Approved(_)) => has_left,
        _ => true,
    }
}
