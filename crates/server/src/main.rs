//! `device-grant`: the OAuth 2.0 device authorization grant (RFC 8628) in front of any OpenID Connect user pool.

mod commands;
mod listen;
mod signals;
mod telemetry;
mod television;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    Login(commands::login::Login),
}

#[tokio::main]
async fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("device-grant: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let done = match Cli::parse().command {
        Command::Demo(demo) => commands::demo::run(demo).await,
        Command::Login(login) => commands::login::run(login).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("device-grant: {error:#}");
            ExitCode::FAILURE
        }
    }
}
