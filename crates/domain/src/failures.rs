//! How much in vain a network may try: wrong secrets (CA-09), codes that there are not, and what makes us ask the pool for
//! nothing.
//!
//! A try is reserved before it is made and given back when it was not in vain, so that a hundred at once count as a
//! hundred. Counted in this replica's memory: with N replicas up to N times the number passes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::client::DeviceClient;
use crate::network::Network;
use crate::request::DeviceRequest;
use crate::service::DeviceGrant;
use crate::store::Unavailable;
use crate::time::Timestamp;

/// Networks that are counted at once. Beyond it a window admits without counting: memory is bounded, and no flood from
/// many networks can lock others out.
const MOST_NETWORKS: usize = 20_000;
/// Counters of one network; names that meet in one share it. Names without end neither fill the memory nor get more tries
/// than these have, and nobody is told by them which names there are.
const SLOTS: usize = 64;

/// The tries of the present minute, for each name in each network: whoever tries in vain stops nobody elsewhere.
#[derive(Debug)]
pub(crate) struct VainTries {
    limit: u32,
    present: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    number: u64,
    networks: HashMap<String, [u32; SLOTS]>,
}

impl DeviceGrant {
    /// Reserves a call to the pool for `whose` sake in `network`; if none is left, how long to wait.
    pub(crate) fn reserve_pool_call(&self, whose: &str, network: Network) -> Result<(), Duration> {
        self.vain_pool_calls.reserve(whose, &network.to_string(), self.now())
    }

    /// Looks for the request of a device code. One that is not there counts against the client in its network; when those are
    /// too many nobody looks, and the answer is how long to wait.
    pub(crate) async fn count_unknown(
        &self,
        client: &DeviceClient,
        network: Network,
        look: impl Future<Output = Result<Option<DeviceRequest>, Unavailable>>,
    ) -> Result<Result<Option<DeviceRequest>, Unavailable>, Duration> {
        let (client, network, now) = (client.id.as_str(), network.to_string(), self.now());
        self.unknown_codes.reserve(client, &network, now)?;
        let found = look.await;
        if !matches!(found, Ok(None)) {
            self.unknown_codes.give_back(client, &network, now);
        }
        Ok(found)
    }

    /// The call was not in vain.
    pub(crate) fn give_pool_call_back(&self, whose: &str, network: Network) {
        self.vain_pool_calls.give_back(whose, &network.to_string(), self.now());
    }
}

impl VainTries {
    /// Nothing counted yet.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, present: Mutex::default() }
    }

    /// Reserves one try of `network` for what it calls `name`; if it has none left, how long to wait.
    pub(crate) fn reserve(&self, name: &str, network: &str, now: Timestamp) -> Result<(), Duration> {
        self.in_window(now, |window| {
            if window.networks.len() >= MOST_NETWORKS && !window.networks.contains_key(network) {
                return Ok(());
            }
            let count = &mut window.networks.entry(network.to_owned()).or_insert([0; SLOTS])[slot(name)];
            if *count >= self.limit {
                return Err(now.minute().1);
            }
            *count += 1;
            Ok(())
        })
    }

    /// Takes one try back.
    pub(crate) fn give_back(&self, name: &str, network: &str, now: Timestamp) {
        self.in_window(now, |window| {
            if let Some(counts) = window.networks.get_mut(network) {
                let count = &mut counts[slot(name)];
                *count = count.saturating_sub(1);
            }
        });
    }

    fn in_window<T>(&self, now: Timestamp, act: impl FnOnce(&mut Window) -> T) -> T {
        let (number, _) = now.minute();
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.number != number {
            *present = Window { number, ..Window::default() };
        }
        act(&mut present)
    }
}

/// A name may be long, and is anything.
fn slot(name: &str) -> usize {
    usize::from(digest(&SHA256, name.as_bytes()).as_ref()[0]) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(60_020);

    /// CA-09: a guesser is stopped for the rest of the minute, for this client in this network only; what was not in vain
    /// does not count.
    #[test]
    fn a_guesser_hurts_nobody_elsewhere() {
        let tries = VainTries::new(3);
        for _ in 0..3 {
            assert!(tries.reserve("tv", "192.0.2.1", NOW).is_ok());
            assert!(tries.reserve("tv", "192.0.2.2", NOW).is_ok());
            tries.give_back("tv", "192.0.2.2", NOW);
        }
        assert_eq!(tries.reserve("tv", "192.0.2.1", NOW), Err(Duration::from_secs(40)));
        assert!(tries.reserve("box", "192.0.2.1", NOW).is_ok());
        assert!(tries.reserve("tv", "192.0.2.2", NOW).is_ok());
        assert!(tries.reserve("tv", "192.0.2.1", NOW + Duration::from_secs(40)).is_ok());
    }

    /// CA-09: names without end neither fill the memory nor get past the limit, and twenty of them close no other.
    #[test]
    fn a_network_that_tries_names_is_stopped_too() {
        let tries = VainTries::new(3);
        for n in 0..20 {
            assert!(tries.reserve(&n.to_string(), "192.0.2.1", NOW).is_ok(), "{n}");
        }
        assert!(tries.reserve("box", "192.0.2.1", NOW).is_ok(), "one that nobody tried");
        let passed = (0..10_000).filter(|n| tries.reserve(&n.to_string(), "192.0.2.3", NOW).is_ok()).count();
        assert_eq!(passed, 3 * SLOTS);
        for n in 0..MOST_NETWORKS + 10 {
            assert!(tries.reserve("tv", &format!("network {n}"), NOW).is_ok());
        }
        assert_eq!(tries.present.lock().unwrap().networks.len(), MOST_NETWORKS);
    }
}
