//! `device-grant`: the OAuth 2.0 device authorization grant (RFC 8628) in front of any OpenID Connect user pool.

mod commands;
mod config;
mod keyring_file;
mod listen;
mod signals;
mod telemetry;
mod television;
mod wiring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use config::WrongConfiguration;

/// A configuration that cannot be used.
const WRONG_CONFIGURATION: u8 = 2;

/// The OAuth 2.0 device authorization grant (RFC 8628) in front of any OpenID Connect user pool.
#[derive(Parser)]
#[command(name = "device-grant", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(commands::demo::Demo),
    Serve(commands::serve::Serve),
    Login(commands::login::Login),
    Init(commands::init::Init),
    Migrate(commands::migrate::Migrate),
    Doctor(commands::doctor::Doctor),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command;
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("device-grant: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let done = match command {
        Command::Demo(demo) => commands::demo::run(demo).await,
        Command::Serve(serve) => commands::serve::run(serve).await,
        Command::Login(login) => commands::login::run(login).await,
        Command::Init(init) => commands::init::run(&init),
        Command::Migrate(migrate) => commands::migrate::run(migrate).await,
        Command::Doctor(doctor) => commands::doctor::run(doctor).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<WrongConfiguration>() => {
            eprintln!("{error}");
            ExitCode::from(WRONG_CONFIGURATION)
        }
        Err(error) => {
            eprintln!("device-grant: {error:#}");
            ExitCode::FAILURE
        }
    }
}
