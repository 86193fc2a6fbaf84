//! When to poll next (RFC 8628 section 3.5).

use std::time::Duration;

/// What `slow_down` adds where the server does not say how much.
const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);
/// The longest wait that a server which is away can cause.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(1);
/// No server is asked more often than this, whatever it says itself.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    failures: u32,
    retry_after: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(interval_s: u64) -> Self {
        let interval = Duration::from_secs(interval_s).max(SHORTEST_INTERVAL);
        Self { interval, failures: 0, retry_after: None }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// How long to wait before the next poll.
    pub(crate) fn wait(&self) -> Duration {
        let doubled = self.interval.saturating_mul(1 << self.failures.min(6));
        let backed_off = doubled.min(LONGEST_BACK_OFF).max(self.interval);
        backed_off.max(self.retry_after.unwrap_or_default())
    }

    /// The server said `authorization_pending`.
    pub(crate) fn pending(&mut self) {
        (self.failures, self.retry_after) = (0, None);
    }

    /// The server said `slow_down`, perhaps with the interval that holds from now on.
    pub(crate) fn slow_down(&mut self, interval_s: Option<u64>, retry_after: Option<Duration>) {
        let asked = interval_s.map_or(self.interval + SLOW_DOWN_STEP, Duration::from_secs);
        self.interval = self.interval.max(asked);
        (self.failures, self.retry_after) = (0, retry_after);
    }

    /// Nothing was heard that counts: each time the wait doubles.
    pub(crate) fn away(&mut self, retry_after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.retry_after = retry_after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn slow_down_adds_five_seconds_for_good() {
        let mut pace = Pace::new(5);
        pace.slow_down(None, None);
        assert_eq!(pace.wait(), s(10));
        pace.pending();
        assert_eq!(pace.wait(), s(10));
    }

    #[test]
    fn the_servers_own_interval_counts_instead_but_never_shortens() {
        let mut pace = Pace::new(5);
        pace.slow_down(Some(12), Some(s(15)));
        assert_eq!(pace.wait(), s(15), "Retry-After holds for the next poll");
        pace.pending();
        assert_eq!(pace.wait(), s(12));
        pace.slow_down(Some(1), None);
        assert_eq!(pace.wait(), s(12));
    }

    #[test]
    fn a_server_that_is_away_is_asked_less_and_less_often() {
        let mut pace = Pace::new(5);
        let waits: Vec<_> = (0..5)
            .map(|_| {
                pace.away(None);
                pace.wait()
            })
            .collect();
        assert_eq!(waits, [s(10), s(20), s(40), s(60), s(60)]);
        pace.away(Some(s(90)));
        assert_eq!(pace.wait(), s(90));
        pace.pending();
        assert_eq!(pace.wait(), s(5), "and as before once it is back");
    }

    #[test]
    fn a_server_that_names_no_pause_is_not_hammered() {
        assert_eq!(Pace::new(0).wait(), s(1));
    }
}
