//! When what goes wrong, as a seed decides it.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::wire::Mood;
use crate::world::REPLICAS;

/// Something that is done to the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The replica of this index is killed.
    Kill(usize),
    /// It is started again.
    Start(usize),
    /// The way of this replica to the store changes.
    Mood(usize, Mood),
    /// The pool stands still.
    PausePool,
    /// It goes on.
    ResumePool,
}

/// Events, each with its time from the beginning; in order.
pub fn schedule(seed: u64, length: Duration) -> Vec<(Duration, Event)> {
    let mut lanes = Lanes { chance: StdRng::seed_from_u64(seed), length, events: Vec::new() };
    lanes.kills();
    for replica in 0..REPLICAS {
        lanes.moods(replica);
    }
    lanes.outages();
    lanes.pauses();
    lanes.events.sort_by_key(|(time, _)| *time);
    lanes.events
}

struct Lanes {
    chance: StdRng,
    length: Duration,
    events: Vec<(Duration, Event)>,
}

impl Lanes {
    /// One replica after the other: two are left at any time.
    fn kills(&mut self) {
        self.lane(1_500..5_000, 300..3_000, |chance| {
            let replica = chance.random_range(0..REPLICAS);
            (vec![Event::Kill(replica)], vec![Event::Start(replica)])
        });
    }

    fn moods(&mut self, replica: usize) {
        self.lane(1_000..5_000, 500..3_500, |chance| {
            // The worst comes twice as often.
            let moods = [Mood::Slow, Mood::DropCalls, Mood::Refuse, Mood::LoseAnswers, Mood::LoseAnswers];
            let mood = moods[chance.random_range(0..moods.len())];
            (vec![Event::Mood(replica, mood)], vec![Event::Mood(replica, Mood::Calm)])
        });
    }

    /// The store is away for all.
    fn outages(&mut self) {
        self.lane(10_000..25_000, 1_000..5_000, |_| {
            let all = |mood| (0..REPLICAS).map(|replica| Event::Mood(replica, mood)).collect();
            (all(Mood::Refuse), all(Mood::Calm))
        });
    }

    fn pauses(&mut self) {
        self.lane(4_000..12_000, 1_000..6_000, |_| (vec![Event::PausePool], vec![Event::ResumePool]));
    }

    /// Trouble again and again: `quiet` milliseconds before it begins, `lasting` until it ends.
    fn lane(
        &mut self,
        quiet: Range<u64>,
        lasting: Range<u64>,
        trouble: impl Fn(&mut StdRng) -> (Vec<Event>, Vec<Event>),
    ) {
        let mut time = Duration::ZERO;
        loop {
            time += Duration::from_millis(self.chance.random_range(quiet.clone()));
            if time >= self.length {
                return;
            }
            let (begins, ends) = trouble(&mut self.chance);
            self.events.extend(begins.into_iter().map(|event| (time, event)));
            time += Duration::from_millis(self.chance.random_range(lasting.clone()));
            self.events.extend(ends.into_iter().map(|event| (time, event)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let minute = Duration::from_mins(1);
        assert_eq!(schedule(7, minute), schedule(7, minute));
        assert_ne!(schedule(7, minute), schedule(8, minute));
    }

    #[test]
    fn what_begins_ends() {
        let events = schedule(1, Duration::from_mins(10));
        let count = |wanted: fn(&Event) -> bool| events.iter().filter(|(_, event)| wanted(event)).count();
        let kills = count(|event| matches!(event, Event::Kill(_)));
        assert!(kills > 50, "{kills}");
        assert_eq!(kills, count(|event| matches!(event, Event::Start(_))));
        assert_eq!(count(|event| *event == Event::PausePool), count(|event| *event == Event::ResumePool));
    }
}
