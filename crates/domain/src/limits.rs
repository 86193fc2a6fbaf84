//! How many requests may be started: per network, per client in a network, and per client (DA-13).
//!
//! Starts are counted in this replica's memory: with N replicas up to N times the number passes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use device_grant_protocol::ClientId;

use crate::client::DeviceClient;
use crate::time::Timestamp;

const CAPACITY: usize = 100_000;

/// Starts per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimits {
    /// From one network: an IPv4 address or an IPv6 /64.
    pub per_network: u32,
    /// By one client from one network.
    pub per_client_and_network: u32,
    /// By one client from anywhere: more raise an alarm, and are refused only where the client has a ceiling of its own.
    /// Every device of a model shares one `client_id`, and a flood must not switch the fleet off.
    pub client_alarm: u32,
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
    pairs: HashMap<(ClientId, String), u32>,
    clients: HashMap<ClientId, u32>,
}

impl StartCounts {
    /// Nothing counted yet.
    pub fn new(limits: StartLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Counts one start, or says how long to wait.
    pub fn admit(&self, client: &DeviceClient, network: &str, now: Timestamp) -> Result<(), Duration> {
        let (window, rest) = now.minute();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.window != window {
            *counts = Counts { window, ..Counts::default() };
        }
        let pair = (client.id.clone(), network.to_owned());
        let is_over = is_full(&counts.networks, network, self.limits.per_network)
            || is_full(&counts.pairs, &pair, self.limits.per_client_and_network)
            || client.starts_per_minute.is_some_and(|most| is_full(&counts.clients, &client.id, most));
        if is_over {
            return Err(rest);
        }
        add(&mut counts.networks, network.to_owned());
        add(&mut counts.pairs, pair);
        if add(&mut counts.clients, client.id.clone()) == self.limits.client_alarm {
            tracing::warn!(client = %client.id, starts = self.limits.client_alarm, "a client starts unusually often");
        }
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

/// Counts one more of `key`, and says how many there are. Beyond its capacity a window admits without counting: memory is
/// bounded, and no flood from many networks can switch off the others.
fn add<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) -> u32 {
    if counts.len() >= CAPACITY && !counts.contains_key(&key) {
        return 0;
    }
    let count = counts.entry(key).or_default();
    *count += 1;
    *count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::sample;

    const LIMITS: StartLimits = StartLimits { per_network: 5, per_client_and_network: 3, client_alarm: 6 };

    /// DA-13: a flood from one network is refused until the minute is over; the same client elsewhere goes on.
    #[test]
    fn a_flood_from_one_network_hurts_nobody_else() {
        let counts = StartCounts::new(LIMITS);
        let (tv, box_) = (sample("tv"), sample("box"));
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

    /// DA-13: a client as a whole is refused only where its operator set a ceiling: a fleet shares one `client_id`.
    #[test]
    fn a_fleet_is_refused_only_where_that_was_asked_for() {
        let counts = StartCounts::new(LIMITS);
        let fleet = sample("tv");
        let capped = DeviceClient { starts_per_minute: Some(4), ..sample("lab") };
        let now = Timestamp::from_secs(60_050);
        for network in 0..20 {
            assert!(counts.admit(&fleet, &network.to_string(), now).is_ok());
            let admitted = counts.admit(&capped, &network.to_string(), now);
            assert_eq!(admitted, if network < 4 { Ok(()) } else { Err(Duration::from_secs(10)) });
        }
    }
}
