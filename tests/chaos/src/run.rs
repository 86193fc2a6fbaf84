//! A run of chaos.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::load::{Habits, Load};
use crate::replica::Replica;
use crate::report::Report;
use crate::schedule::{Event, schedule};
use crate::world::World;

/// Events of the metrics, and what they mean.
const EVENTS: [(&str, &str, &str); 2] = [
    ("poll", "undecided", "a poll told to come back, since the store was away"),
    ("take_over", "begun", "an exchange taken over from a replica that had died or given up"),
];

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
    /// What went wrong on purpose and what the replicas made of it, and how often.
    pub counts: Counts,
}

/// How often what has happened.
pub type Counts = BTreeMap<&'static str, u64>;

/// Lets devices log in while things go wrong, heals everything, and waits for every device.
pub async fn chaos(world: &mut World, plan: Plan) -> anyhow::Result<Chaos> {
    println!("chaos for {} s with seed {}", plan.length.as_secs(), plan.seed);
    for (number, replica) in (0..).zip(&world.replicas) {
        replica.wire.begin(plan.seed.wrapping_add(number));
    }
    let habits = Habits { devices: plan.devices, refreshes: 1, bad_air: Some(plan.seed) };
    let load = Load::start(&world.street, habits);
    let mut counts = Counts::new();
    disturb(world, plan, &mut counts).await?;
    world.heal().await?;
    let logins = load.end().await?;
    let http = world.street.http()?;
    for replica in &world.replicas {
        count_events(replica, &http, &mut counts).await;
        for (fault, count) in replica.wire.faults() {
            *counts.entry(fault).or_default() += count;
        }
    }
    counts.insert("an answer to a poll lost in the air", logins.iter().map(|login| login.swallowed).sum());
    Ok(Chaos { plan, report: Report::of(&logins, &world.street).await?, counts })
}

/// Does to the parts what the schedule says.
async fn disturb(world: &mut World, plan: Plan, counts: &mut Counts) -> anyhow::Result<()> {
    let http = world.street.http()?;
    let began = Instant::now();
    for (time, event) in schedule(plan.seed, plan.length) {
        sleep_until(began + time).await;
        match event {
            Event::Kill(replica) => {
                *counts.entry("a replica killed").or_default() += 1;
                let replica = &mut world.replicas[replica];
                count_events(replica, &http, counts).await;
                replica.kill();
            }
            Event::Start(replica) => world.replicas[replica].start()?,
            Event::Mood(replica, mood) => world.replicas[replica].wire.set(mood),
            Event::PausePool => {
                *counts.entry("the pool stood still").or_default() += 1;
                world.pool.pause();
            }
            Event::ResumePool => world.pool.resume(),
        }
    }
    Ok(())
}

/// Adds what the metrics of a replica tell, which end with it.
async fn count_events(replica: &Replica, http: &reqwest::Client, counts: &mut Counts) {
    for (event, outcome, name) in EVENTS {
        *counts.entry(name).or_default() += replica.events(http, event, outcome).await;
    }
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, length, devices } = &self.plan;
        writeln!(f, "\nseed {seed}: {devices} devices at once, {} s of trouble", length.as_secs())?;
        write!(f, "{}", self.report)?;
        for (what, count) in &self.counts {
            writeln!(f, "{count:>7}  times: {what}")?;
        }
        Ok(())
    }
}
