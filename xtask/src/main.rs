//! The project's own commands: `test`, `rows`, `parts`.

mod command;
mod parts;
mod rows;
mod stages;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use stages::Stage;

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
    Test {
        /// Leave out what needs the real parts (Keycloak, `DynamoDB` Local, Chromium, haproxy, Go).
        #[arg(long, conflicts_with = "only")]
        quick: bool,
        /// Run these stages only.
        #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "STAGE")]
        only: Vec<Stage>,
    },
    /// Fetch the real parts that the whole-system tests run against.
    Parts,
    /// Print each row of `docs/conformance.md` with its tests, and the rows without one.
    Rows {
        /// Bring the column of tests up to date first.
        #[arg(long)]
        write: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test { quick, only } => stages::run(quick, &only),
        Command::Parts => parts::fetch(),
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
