//! Who polls too fast: judged by this replica's memory, so that a poll that changes nothing writes nothing, or by what all
//! replicas have in the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ids::RequestId;
use crate::request::DeviceRequest;
use crate::time::Timestamp;

/// Seconds added by each `slow_down` (RFC 8628 section 3.5).
pub const SLOW_DOWN_STEP: u32 = 5;
/// The interval grows no further than this, in seconds.
pub const MAX_INTERVAL: u32 = 60;
/// How much too early a poll may be: networks do not keep time.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(1);

/// Where it is kept when a request was last polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollPace {
    /// In each replica's memory: a poll that changes nothing writes nothing.
    Memory,
    /// In the store: all replicas see one pace, and a poll costs one write.
    Shared,
}

/// Whether a poll keeps the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It does.
    Kept,
    /// It does not; from now on this many seconds must lie between polls.
    Broken(u32),
}

/// When each request may next be polled. Bounded: a replica that has forgotten a request lets its next poll pass.
#[derive(Debug)]
pub(crate) struct PaceBook {
    entries: Mutex<HashMap<RequestId, Entry>>,
    capacity: usize,
}

/// What one poll is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The last poll that kept the pace, or when it was due if it came a little early. Counting from the due time keeps
    /// jitter from adding up.
    pub(crate) counted_from: Timestamp,
    pub(crate) interval: u32,
}

impl Entry {
    /// What the store has of `request`, as if it were first polled at `now` where it never was.
    pub(crate) fn of(request: &DeviceRequest, now: Timestamp) -> Self {
        Self { counted_from: request.counted_from.unwrap_or(now), interval: request.interval }
    }

    fn due(self) -> Timestamp {
        self.counted_from + Duration::from_secs(u64::from(self.interval))
    }

    /// Notes a poll at `now`, which may be `tolerance` too early.
    ///
    /// A poll that comes earlier raises the interval and leaves the reference time alone: moving both would lock a client
    /// in that merely adds the five seconds it was asked for (TP-05).
    pub(crate) fn note(&mut self, now: Timestamp, tolerance: Duration) -> Pace {
        let due = self.due();
        if now + tolerance >= due {
            self.counted_from = now.max(due);
            return Pace::Kept;
        }
        self.interval = (self.interval + SLOW_DOWN_STEP).min(MAX_INTERVAL.max(self.interval));
        Pace::Broken(self.interval)
    }
}

impl PaceBook {
    /// A book of at most `capacity` requests.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity }
    }

    /// Notes a poll at `now` of a request whose stored interval is `interval` seconds. The first poll is free.
    pub(crate) fn note(&self, id: &RequestId, interval: u32, now: Timestamp) -> Pace {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get_mut(id) else {
            make_room(&mut entries, self.capacity, now);
            entries.insert(id.clone(), Entry { counted_from: now, interval });
            return Pace::Kept;
        };
        // The stored interval may have been read before the last raise; it never falls.
        entry.interval = entry.interval.max(interval);
        entry.note(now, TOLERANCE)
    }

    /// Takes over what the store has of `id`.
    pub(crate) fn learn(&self, id: &RequestId, entry: Entry, now: Timestamp) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut entries, self.capacity, now);
        entries.insert(id.clone(), entry);
    }

    /// The interval that this replica knows for `id`, in seconds.
    pub(crate) fn interval(&self, id: &RequestId) -> Option<u32> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(id).map(|entry| entry.interval)
    }

    /// Forgets a request that is decided.
    pub(crate) fn forget(&self, id: &RequestId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

fn make_room(entries: &mut HashMap<RequestId, Entry>, capacity: usize, now: Timestamp) {
    if entries.len() < capacity {
        return;
    }
    entries.retain(|_, entry| entry.due() + Duration::from_secs(u64::from(MAX_INTERVAL)) > now);
    if entries.len() >= capacity {
        // More live requests than the book holds: forgetting all of them costs each one free poll.
        entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use device_grant_protocol::DeviceCode;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn id(name: &str) -> RequestId {
        RequestId::of(&DeviceCode::new(name))
    }

    fn at(ms: u64) -> Timestamp {
        START + Duration::from_millis(ms)
    }

    /// TP-05: sixty polls at the interval with up to 300 ms of jitter are never too fast.
    #[test]
    fn jitter_is_tolerated() {
        let book = PaceBook::new(10);
        for n in 0..60u64 {
            let jitter = [0, 300, 600, 0, 0, 600][usize::try_from(n % 6).unwrap()];
            assert_eq!(book.note(&id("a"), 5, at(300 + n * 5000 + jitter - 300)), Pace::Kept, "poll {n}");
        }
    }

    /// TP-03, TP-05, TP-06: the first poll is free, an early one raises the interval once, and a client that adds the five
    /// seconds is heard again.
    #[test]
    fn a_client_that_obeys_is_not_locked_in() {
        let book = PaceBook::new(10);
        assert_eq!(book.note(&id("a"), 5, at(0)), Pace::Kept);
        assert_eq!(book.note(&id("a"), 5, at(500)), Pace::Broken(10));
        assert_eq!(book.note(&id("a"), 10, at(10_500)), Pace::Kept);
        assert_eq!(book.note(&id("a"), 10, at(20_500)), Pace::Kept);
    }

    /// TP-04: after `slow_down` five more seconds are really demanded, up to the cap.
    #[test]
    fn the_interval_grows_to_its_cap() {
        let book = PaceBook::new(10);
        book.note(&id("a"), 5, at(0));
        let raised: Vec<Pace> = (1..14).map(|n| book.note(&id("a"), 5, at(n * 10))).collect();
        assert_eq!(raised[0], Pace::Broken(10));
        assert_eq!(raised[12], Pace::Broken(60));
        assert_eq!(
            book.note(&id("a"), 5, at(6000)),
            Pace::Broken(60),
            "the old interval is not enough any more"
        );
        assert_eq!(book.note(&id("a"), 5, at(60_000)), Pace::Kept);
    }

    #[test]
    fn the_book_is_bounded() {
        let book = PaceBook::new(3);
        for n in 0..20 {
            book.note(&id(&n.to_string()), 5, START);
            assert!(book.entries.lock().unwrap().len() <= 3);
        }
    }
}
