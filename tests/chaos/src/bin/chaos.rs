//! The long form of the chaos: `cargo xtask soak`.

use std::time::Duration;

use chaos::{Plan, World, chaos};
use clap::Parser;

/// Lets devices log in while things go wrong.
#[derive(Debug, Parser)]
struct Cli {
    /// What decides what goes wrong when; by default it is drawn, and printed.
    #[arg(long, default_value_t = rand::random())]
    seed: u64,
    /// For how long things go wrong, in seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// How many devices log in at once.
    #[arg(long, default_value_t = 16)]
    devices: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { seed, seconds, devices } = Cli::parse();
    let mut world = World::alone().await?;
    let run = chaos(&mut world, Plan { seed, length: Duration::from_secs(seconds), devices }).await?;
    println!("{run}");
    run.report.assert_sound();
    Ok(())
}
