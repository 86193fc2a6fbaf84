//! How much in vain a network may try: wrong secrets (CA-09), and what makes us ask the pool for nothing.
//!
//! Counted in this replica's memory: with N replicas up to N times the number passes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::network::Network;
use crate::service::DeviceGrant;
use crate::time::Timestamp;

const WINDOW: Duration = Duration::from_mins(1);
/// Networks that are counted at once. Beyond it a window admits without counting: memory is bounded, and no flood from
/// many networks can lock others out.
const MOST_NETWORKS: usize = 20_000;
/// Names that one network may fail under in a window. Whoever tries more of them is guessing names as well, and no
/// further ones are looked at, known or not.
const MOST_NAMES: usize = 20;

/// The failures of the present minute, for each client in each network: a guesser locks out nobody elsewhere.
#[derive(Debug)]
pub(crate) struct FailureCounts {
    limit: u32,
    present: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    number: u64,
    networks: HashMap<String, HashMap<Name, u32>>,
}

/// A name as it is kept: hashed, since it may be long, and is anything.
type Name = [u8; 32];

impl DeviceGrant {
    /// Whether the pool may be asked once more for `whose` sake in `network`; if not, how long to wait.
    pub(crate) fn may_ask_pool(&self, whose: &str, network: Network) -> Result<(), Duration> {
        self.pool_refusals.admit(whose, &network.to_string(), self.now())
    }

    /// Counts a call that somebody in `network` made us make in vain.
    pub(crate) fn note_refusal(&self, whose: &str, network: Network) {
        self.pool_refusals.note(whose, &network.to_string(), self.now());
    }
}

impl FailureCounts {
    /// Nothing counted yet.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, present: Mutex::default() }
    }

    /// Whether `network` may try once more for what it calls `name`; if not, how long to wait.
    pub(crate) fn admit(&self, name: &str, network: &str, now: Timestamp) -> Result<(), Duration> {
        let name = hashed(name);
        let full = self.in_window(now, |window| {
            window.networks.get(network).is_some_and(|names| match names.get(&name) {
                Some(count) => *count >= self.limit,
                None => names.len() >= MOST_NAMES,
            })
        });
        if full { Err(rest_of_window(now)) } else { Ok(()) }
    }

    /// Counts a failure.
    pub(crate) fn note(&self, name: &str, network: &str, now: Timestamp) {
        self.in_window(now, |window| {
            if window.networks.len() < MOST_NETWORKS || window.networks.contains_key(network) {
                let names = window.networks.entry(network.to_owned()).or_default();
                *names.entry(hashed(name)).or_default() += 1;
            }
        });
    }

    fn in_window<T>(&self, now: Timestamp, act: impl FnOnce(&mut Window) -> T) -> T {
        let number = now.as_millis() / window_ms();
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.number != number {
            *present = Window { number, ..Window::default() };
        }
        act(&mut present)
    }
}

fn hashed(name: &str) -> Name {
    digest(&SHA256, name.as_bytes()).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

fn window_ms() -> u64 {
    u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX)
}

fn rest_of_window(now: Timestamp) -> Duration {
    Duration::from_millis(window_ms() - now.as_millis() % window_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(60_020);

    /// CA-09: a guesser is stopped for the rest of the minute, for this client in this network only.
    #[test]
    fn a_guesser_hurts_nobody_elsewhere() {
        let counts = FailureCounts::new(3);
        for _ in 0..3 {
            assert!(counts.admit("tv", "192.0.2.1", NOW).is_ok());
            counts.note("tv", "192.0.2.1", NOW);
        }
        assert_eq!(counts.admit("tv", "192.0.2.1", NOW), Err(Duration::from_secs(40)));
        assert!(counts.admit("box", "192.0.2.1", NOW).is_ok());
        assert!(counts.admit("tv", "192.0.2.2", NOW).is_ok());
        assert!(counts.admit("tv", "192.0.2.1", NOW + Duration::from_secs(40)).is_ok());
    }

    /// CA-09: names without end neither fill the memory nor get past the limit.
    #[test]
    fn a_network_that_tries_names_is_stopped_too() {
        let counts = FailureCounts::new(3);
        for n in 0..MOST_NAMES {
            let name = n.to_string();
            assert!(counts.admit(&name, "192.0.2.1", NOW).is_ok());
            counts.note(&name, "192.0.2.1", NOW);
        }
        assert!(counts.admit("one more", "192.0.2.1", NOW).is_err());
        assert!(counts.admit("0", "192.0.2.1", NOW).is_ok(), "one that it failed under is still counted");
        for n in 0..MOST_NETWORKS + 10 {
            counts.note("tv", &n.to_string(), NOW);
        }
        let networks = counts.present.lock().unwrap().networks.len();
        assert_eq!(networks, MOST_NETWORKS);
    }
}
