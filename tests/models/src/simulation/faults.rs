//! What goes wrong, and how much of it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::dice::Dice;

/// Of a thousand calls so many fail while the store is flaky.
const FLAKY_PERMILLE: u32 = 600;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not arrive.
    Before,
    /// It is done, and its answer is lost.
    After,
    /// The caller gives up, and it is done some time later.
    Late,
}

/// The mishaps of one world.
pub(crate) struct Faults {
    permille: u32,
    store_is_away: AtomicBool,
    pool_is_away: AtomicBool,
    store_is_flaky: AtomicBool,
    /// How often each has happened.
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Faults {
    /// Of a thousand calls `permille` go wrong.
    pub(crate) fn new(permille: u32) -> Self {
        Self {
            permille,
            store_is_away: AtomicBool::default(),
            pool_is_away: AtomicBool::default(),
            store_is_flaky: AtomicBool::default(),
            counts: Mutex::default(),
        }
    }

    pub(crate) const fn permille(&self) -> u32 {
        self.permille
    }

    pub(crate) fn store_is_away(&self) -> bool {
        self.store_is_away.load(Ordering::SeqCst)
    }

    pub(crate) fn pool_is_away(&self) -> bool {
        self.pool_is_away.load(Ordering::SeqCst)
    }

    /// What goes wrong with the next call to the store, if anything.
    pub(crate) fn draw_for_store(&self, dice: &Dice) -> Option<Fault> {
        let flaky = self.store_is_flaky.load(Ordering::SeqCst);
        self.draw_of(dice, if flaky { FLAKY_PERMILLE } else { self.permille })
    }

    /// What goes wrong with the next call to the pool, if anything.
    pub(crate) fn draw(&self, dice: &Dice) -> Option<Fault> {
        self.draw_of(dice, self.permille)
    }

    fn draw_of(&self, dice: &Dice, permille: u32) -> Option<Fault> {
        if !dice.in_thousand(permille) {
            return None;
        }
        let (fault, name) = match dice.below(3) {
            0 => (Fault::Before, "call lost on the way there"),
            1 => (Fault::After, "call lost on the way back"),
            _ => (Fault::Late, "call given up and done later"),
        };
        self.count(name);
        Some(fault)
    }

    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.lock().expect("nothing panics while it counts").entry(what).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().expect("nothing panics while it counts").clone()
    }

    /// Takes the store and the pool away now and then, for as long as the world lasts.
    pub(crate) async fn outages(&self, dice: Dice) {
        loop {
            sleep(dice.time(Duration::from_secs(20)..Duration::from_mins(10))).await;
            if !dice.in_thousand(self.permille * 10) {
                continue;
            }
            let (away, what) = match dice.below(3) {
                0 => (&self.store_is_away, "outage of the store"),
                1 => (&self.store_is_flaky, "spell in which most calls to the store fail"),
                _ => (&self.pool_is_away, "outage of the pool"),
            };
            self.count(what);
            away.store(true, Ordering::SeqCst);
            sleep(dice.time(Duration::from_secs(5)..Duration::from_mins(3))).await;
            away.store(false, Ordering::SeqCst);
        }
    }
}
