//! What no test of single steps shows: whole logins under every mishap that replicas, store, pool and wire are capable of.

pub mod protocol;
pub mod simulation;
