//! `device-grant`: the OAuth 2.0 device authorization grant (RFC 8628) in front of any OpenID Connect user pool.

mod cli;
mod commands;
mod config;
mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod keyring_home;
mod listen;
mod metrics;
mod pool_clients;
mod pool_secrets;
mod registered;
mod rotation;
mod telemetry;
mod television;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use config::{Environment, WrongConfiguration};

/// What a wrong configuration ends with, as a wrong command line does.
const WRONG: u8 = 2;

/// The whole program, from its command line to its exit code.
pub fn main() -> ExitCode {
    // The first provider stays, and nothing came before this line: it cannot fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    // What is not Unicode is no setting of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match run(cli.command, &environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<WrongConfiguration>() => {
            eprintln!("{error}");
            ExitCode::from(WRONG)
        }
        Err(error) => {
            eprintln!("device-grant: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, environment: &Environment) -> anyhow::Result<()> {
    match command {
        Command::Init(args) => commands::init::run(&args),
        Command::Demo(args) => runtime()?.block_on(commands::demo::run(&args)),
        Command::Serve(args) => runtime()?.block_on(commands::serve::run(args.file(), environment)),
        Command::Login(args) => runtime()?.block_on(commands::login::run(&args)),
        Command::Migrate(args) => runtime()?.block_on(commands::migrate::run(args.file(), environment)),
        Command::Client(args) => {
            runtime()?.block_on(commands::client::run(&args.config, &args.action, environment))
        }
        Command::Key(args) => runtime()?.block_on(commands::key::run(&args.action, environment)),
        Command::RotatePoolSecret(args) => {
            runtime()?.block_on(commands::rotate_pool_secret::run(args.file(), environment))
        }
        Command::Doctor(args) => runtime()?.block_on(commands::doctor::run(args.file(), environment)),
        Command::Health(args) => runtime()?.block_on(commands::health::run(args.file(), environment)),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // AWS-LC gathers entropy at its first use, for tens of milliseconds: better now than in the first request.
    std::thread::spawn(|| aws_lc_rs::rand::fill(&mut [0; 1]));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
