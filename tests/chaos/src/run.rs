//! A run of chaos.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::load::{Habits, Load};
use crate::report::Report;
use crate::schedule::{Event, schedule};
use crate::world::World;

/// Of a hundred answers to polls so many do not arrive.
const LOST_IN_THE_AIR: u32 = 3;

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What decides the schedule of events.
    pub seed: u64,
    /// For how long things go wrong.
    pub length: Duration,
    /// How many devices log in at once.
    pub devices: usize,
}

/// What a run has brought.
#[derive(Debug)]
pub struct Chaos {
    plan: Plan,
    /// What became of the logins.
    pub report: Report,
    /// What went wrong on purpose, and how often.
    pub mishaps: BTreeMap<&'static str, u64>,
}

/// Lets devices log in while things go wrong, heals everything, and waits for every device.
pub async fn chaos(world: &mut World, plan: Plan) -> anyhow::Result<Chaos> {
    println!("chaos for {} s with seed {}", plan.length.as_secs(), plan.seed);
    for (number, replica) in (0..).zip(&world.replicas) {
        replica.wire.reseed(plan.seed.wrapping_add(number));
    }
    let habits = Habits { devices: plan.devices, refreshes: 1, loses: LOST_IN_THE_AIR, seed: plan.seed };
    let load = Load::start(&world.street, habits);
    let mut mishaps = BTreeMap::new();
    let began = Instant::now();
    for (time, event) in schedule(plan.seed, plan.length) {
        sleep_until(began + time).await;
        match event {
            Event::Kill(replica) => world.replicas[replica].kill(),
            Event::Start(replica) => world.replicas[replica].start()?,
            Event::Mood(replica, mood) => world.replicas[replica].wire.set(mood),
            Event::PausePool => world.pool.pause(),
            Event::ResumePool => world.pool.resume(),
        }
        match event {
            Event::Kill(_) => *mishaps.entry("a replica killed").or_default() += 1,
            Event::PausePool => *mishaps.entry("the pool stood still").or_default() += 1,
            _ => {}
        }
    }
    world.heal().await?;
    let logins = load.end().await?;
    for (fault, count) in world.replicas.iter().flat_map(|replica| replica.wire.faults()) {
        *mishaps.entry(fault).or_default() += count;
    }
    Ok(Chaos { plan, report: Report::of(&logins, &world.street).await?, mishaps })
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, length, devices } = &self.plan;
        writeln!(f, "\nseed {seed}: {devices} devices at once, {} s of trouble", length.as_secs())?;
        write!(f, "{}", self.report)?;
        for (mishap, count) in &self.mishaps {
            writeln!(f, "{count:>7}  times: {mishap}")?;
        }
        Ok(())
    }
}
