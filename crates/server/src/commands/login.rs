//! `device-grant login`.

use std::fs;

use anyhow::Context;
use device_grant_client::{Credentials, DeviceClient};
use device_grant_protocol::{ClientSecret, Scope};
use zeroize::Zeroizing;

use super::serve::signalled;
use crate::cli::Login;
use crate::television::{Screen, log_in};

pub(crate) async fn run(args: &Login) -> anyhow::Result<()> {
    let secret = match &args.client_secret_file {
        Some(file) => {
            let text = fs::read_to_string(file).map(Zeroizing::new);
            let text = text.with_context(|| format!("cannot read {}", file.display()))?;
            Some(ClientSecret::new(text.trim_end_matches(['\r', '\n'])))
        }
        None => None,
    };
    let credentials = Credentials { client_id: args.client_id.parse()?, secret };
    let scope = args.scope.as_deref().map(str::parse::<Scope>).transpose()?;
    let device = DeviceClient::discover(&args.issuer, credentials).await?;
    let screen = Screen { qr: args.qr, show_tokens: args.show_tokens };
    log_in(&device, scope.as_ref(), screen, signalled()?).await
}
