//! Logins by the thousand on virtual time: the production services of three replicas, in front of a store and a pool that
//! lose calls, answer late and go away, with replicas that crash and clocks that differ. A seed decides everything.
//!
//! What is not simulated: a request that reaches the pool after its sender has given it up. The lease covers the longest
//! call; what the wire holds back longer than that, nothing can call back.

mod device;
mod dice;
mod faults;
mod judge;
mod life;
mod person;
mod pool;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::runtime::Builder;
use tokio::task::JoinSet;

pub use device::End;
use world::World;

/// Logins that share one world.
pub const LOGINS_PER_WORLD: u64 = 16;
/// Of a thousand calls so many go wrong, in one world after another.
const PERMILLES: [u32; 5] = [0, 5, 20, 60, 150];
/// What goes wrong in any run that is long enough.
pub const MISHAPS: [&str; 8] = [
    "answer of a replica lost",
    "call given up and done later",
    "call lost on the way back",
    "call lost on the way there",
    "crash of a replica",
    "outage of the pool",
    "outage of the store",
    "spell in which most calls to the store fail",
];

/// What a run has seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How the logins ended.
    pub ends: BTreeMap<End, u64>,
    /// What went wrong on the way, and how often.
    pub mishaps: BTreeMap<&'static str, u64>,
    /// What must not happen: the seed of the world, and what it was.
    pub violations: Vec<(u64, String)>,
}

impl Report {
    fn add(&mut self, other: Self) {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        for (mishap, count) in other.mishaps {
            *self.mishaps.entry(mishap).or_default() += count;
        }
        self.violations.extend(other.violations);
    }

    /// How many logins there were.
    pub fn logins(&self) -> u64 {
        self.ends.values().sum()
    }
}

/// At least `logins` logins, in worlds of the seeds `seed`, `seed + 1` and so on.
///
/// # Panics
/// When a world's thread does.
pub fn run(seed: u64, logins: u64) -> Report {
    let worlds = logins.div_ceil(LOGINS_PER_WORLD);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut report = Report::default();
    thread::scope(|scope| {
        let work = || {
            let mut report = Report::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= worlds {
                    return report;
                }
                report.add(one_world(seed + number));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            report.add(worker.join().expect("a world does not panic"));
        }
    });
    report.violations.sort();
    report
}

/// The world of one seed.
///
/// # Panics
/// When a login does.
pub fn one_world(seed: u64) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs nothing").block_on(live(seed))
}

async fn live(seed: u64) -> Report {
    let permille = PERMILLES[usize::try_from(seed % PERMILLES.len() as u64).expect("a small number")];
    let world = World::new(seed, permille);
    let mut fate = JoinSet::new();
    let (faults, dice) = (Arc::clone(&world.faults), world.dice.clone());
    fate.spawn(async move { faults.outages(dice).await });
    let killed = Arc::clone(&world);
    fate.spawn(async move { killed.crashes().await });

    let mut logins = JoinSet::new();
    for number in 0..u32::try_from(LOGINS_PER_WORLD).expect("a small number") {
        logins.spawn(device::log_in(Arc::clone(&world), number));
    }
    let mut report = Report::default();
    while let Some(end) = logins.join_next().await {
        *report.ends.entry(end.expect("a login does not panic")).or_default() += 1;
    }
    report.mishaps = world.faults.counts();
    report.violations = world.judge.violations().into_iter().map(|what| (seed, what)).collect();
    report
}
