//! `cargo xtask simulate`: logins under mishaps, and what became of them.

use std::process::ExitCode;

use clap::Parser;
use models::simulation::{self, LOGINS_PER_WORLD, Report};

/// Simulates logins.
#[derive(Debug, Parser)]
struct Cli {
    /// The seed of the first world; each world has the one after that of the world before.
    #[arg(long)]
    seed: u64,
    /// How many logins, rounded up to whole worlds.
    #[arg(long, default_value_t = LOGINS_PER_WORLD)]
    logins: u64,
}

fn main() -> ExitCode {
    let Cli { seed, logins } = Cli::parse();
    let report = simulation::run(seed, logins);
    print(&report);
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(report: &Report) {
    println!("{:>9} logins", report.logins());
    for (end, count) in &report.ends {
        println!("{count:>9} ended: {end:?}");
    }
    for (mishap, count) in &report.mishaps {
        println!("{count:>9} times: {mishap}");
    }
    for (seed, what) in &report.violations {
        println!("VIOLATION with --seed {seed}: {what}");
    }
}
