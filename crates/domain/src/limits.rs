//! How many requests may be started, per network and per client in a network (DA-13), and how many codes may be guessed.
//!
//! Starts are counted in this replica's memory: with N replicas up to N times the number passes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use device_grant_protocol::ClientId;

use crate::time::Timestamp;

const WINDOW: Duration = Duration::from_mins(1);
const CAPACITY: usize = 100_000;

/// Guesses of user codes in the life of a code (UC-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuessLimits {
    /// By one account.
    pub per_account: u32,
    /// From one network, by all its people together.
    pub per_network: u32,
    /// From one browser in which nobody has signed in.
    pub per_browser: u32,
    /// From one network by all who have not signed in; an IPv6 network is a /48 here.
    pub strangers_per_network: u32,
}

/// Starts per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimits {
    /// From one network: an IPv4 address or an IPv6 /64.
    pub per_network: u32,
    /// By one client from one network.
    pub per_client_and_network: u32,
}

/// The counts of the present minute.
#[derive(Debug)]
pub struct StartCounts {
    limits: StartLimits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    window: u64,
    networks: HashMap<String, u32>,
    clients: HashMap<(ClientId, String), u32>,
}

impl StartCounts {
    /// Nothing counted yet.
    pub fn new(limits: StartLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Counts one start, or says how long to wait.
    pub fn admit(&self, client: &ClientId, network: &str, now: Timestamp) -> Result<(), Duration> {
        let window_ms = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        let window = now.as_millis() / window_ms;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.window != window {
            *counts = Counts { window, ..Counts::default() };
        }
        let pair = (client.clone(), network.to_owned());
        let network_full = is_full(&counts.networks, network, self.limits.per_network);
        if network_full || is_full(&counts.clients, &pair, self.limits.per_client_and_network) {
            return Err(Duration::from_millis(window_ms - now.as_millis() % window_ms));
        }
        add(&mut counts.networks, network.to_owned());
        add(&mut counts.clients, pair);
        Ok(())
    }
}

fn is_full<K, Q>(counts: &HashMap<K, u32>, key: &Q, limit: u32) -> bool
where
    K: Hash + Eq + std::borrow::Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    counts.get(key).is_some_and(|count| *count >= limit)
}

/// Beyond its capacity a window admits without counting: memory is bounded, and no flood from many networks can switch
/// off the others.
fn add<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if counts.len() < CAPACITY || counts.contains_key(&key) {
        *counts.entry(key).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DA-13: a flood from one network is refused until the minute is over; the same client elsewhere goes on.
    #[test]
    fn a_flood_from_one_network_hurts_nobody_else() {
        let counts = StartCounts::new(StartLimits { per_network: 5, per_client_and_network: 3 });
        let (tv, box_) = ("tv".parse().unwrap(), "box".parse().unwrap());
        let now = Timestamp::from_secs(60_020);
        for _ in 0..3 {
            assert!(counts.admit(&tv, "192.0.2.1", now).is_ok());
        }
        assert_eq!(counts.admit(&tv, "192.0.2.1", now), Err(Duration::from_secs(40)));
        assert!(counts.admit(&tv, "192.0.2.2", now).is_ok());
        assert!(counts.admit(&box_, "192.0.2.1", now).is_ok());
        assert!(counts.admit(&box_, "192.0.2.1", now).is_ok());
        assert!(counts.admit(&box_, "192.0.2.1", now).is_err(), "the network is full");
        assert!(counts.admit(&tv, "192.0.2.1", now + Duration::from_secs(40)).is_ok());
    }
}
