//! Chance, as a seed decides it.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Dice that everybody in one world throws, in the order in which the world's one thread comes to them.
#[derive(Clone)]
pub(crate) struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// True in `permille` of a thousand cases.
    pub(crate) fn in_thousand(&self, permille: u32) -> bool {
        self.below(1000) < permille
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: u32) -> u32 {
        self.0.lock().expect("nobody panics with the dice in hand").random_range(0..bound)
    }

    /// A time, to the millisecond.
    pub(crate) fn time(&self, range: Range<Duration>) -> Duration {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let (from, to) = (ms(range.start), ms(range.end));
        Duration::from_millis(u64::from(from + self.below(to.saturating_sub(from).max(1))))
    }

    /// A seed for somebody's own stream.
    pub(crate) fn seed(&self) -> u64 {
        u64::from(self.below(u32::MAX)) << 32 | u64::from(self.below(u32::MAX))
    }
}
