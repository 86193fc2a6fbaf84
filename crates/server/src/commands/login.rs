//! `device-grant login`: a device in the terminal.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use device_grant_client::Credentials;
use device_grant_protocol::{ClientId, ClientSecret, Scope};
use url::Url;

use crate::television;

/// Log in as a device does: show a code, wait for the approval, print the result.
#[derive(Args, Debug)]
pub(crate) struct Login {
    /// The server's public URL.
    #[arg(long, value_name = "URL")]
    issuer: Url,
    /// The device's client.
    #[arg(long, value_name = "ID")]
    client_id: ClientId,
    /// A file with the client's secret, for a confidential client.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// What to ask for; the server's default without it.
    #[arg(long)]
    scope: Option<Scope>,
    /// Print the tokens themselves too.
    #[arg(long)]
    show_tokens: bool,
}

/// Runs the command.
pub(crate) async fn run(login: Login) -> anyhow::Result<()> {
    let secret = login.client_secret_file.map(|file| {
        let read = std::fs::read_to_string(&file);
        read.map(|secret| ClientSecret::new(secret.trim_end()))
            .with_context(|| format!("cannot read {}", file.display()))
    });
    let credentials = Credentials { client_id: login.client_id, secret: secret.transpose()? };
    let device = television::discover(&login.issuer, credentials).await?;
    television::log_in(&device, login.scope.as_ref(), login.show_tokens).await
}
