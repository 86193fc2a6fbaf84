//! The project's own commands: `test`, `soak`, `fuzz`, `simulate`, `rows`, `parts`, `image`.

mod command;
mod fuzz;
mod image;
mod parts;
mod rows;
mod soak;
mod stages;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every test there is, real parts included.
    Test(stages::Options),
    /// Run what takes longer than the tests may: logins while replicas are killed, the store is away and the pool stands
    /// still; then every fuzz target for a minute.
    Soak {
        /// For how long things go wrong.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1440))]
        minutes: u32,
        /// What decides what goes wrong when; by default it is drawn, and printed.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Fuzz the parsers of bytes that strangers send.
    Fuzz {
        /// For how long each target runs.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
        /// Run these targets only.
        #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "TARGET")]
        only: Vec<String>,
    },
    /// Simulate logins on virtual time, with replicas, store and pool that fail.
    Simulate {
        /// What decides everything: the same seed gives the same run.
        #[arg(long)]
        seed: u64,
        /// How many logins.
        #[arg(long)]
        logins: u64,
    },
    /// Fetch the real parts that the whole-system tests run against, and what builds the book.
    Parts,
    /// Build the container image: a static program and nothing else, as archives for registries and for Docker.
    Image(image::Options),
    /// Print each row of `docs/conformance.md` with its tests, and the rows without one.
    Rows {
        /// Bring the column of tests up to date first.
        #[arg(long)]
        write: bool,
    },
}

fn simulate(seed: u64, logins: u64) -> anyhow::Result<()> {
    let mut command = command::new("cargo");
    command.args(["run", "--quiet", "--release", "-p", "models", "--bin", "simulate", "--"]);
    command.args(["--seed", &seed.to_string(), "--logins", &logins.to_string()]);
    command::run(&mut command)
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test(options) => stages::run(&options),
        Command::Soak { minutes, seed } => soak::run(minutes, seed),
        Command::Fuzz { seconds, only } => fuzz::run(seconds, &only),
        Command::Simulate { seed, logins } => simulate(seed, logins),
        Command::Parts => parts::fetch(),
        Command::Image(options) => image::run(&options),
        Command::Rows { write } => rows::run(write),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
