//! `device-grant serve`.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::replica::{Replica, bind};
use crate::config::{self, Environment};
use crate::telemetry;
use crate::wiring::{self, Store};

pub(crate) async fn run(file: Option<&Path>, environment: &Environment) -> anyhow::Result<()> {
    let config = config::load(file, environment)?;
    telemetry::start(&config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.settings.public_url.scheme() == "http" {
        tracing::warn!("plain http: for development on this machine only");
    }
    let ended = signalled()?;
    let keys = wiring::keys(&config.keyring, &config.store)?;
    let store = Store::open(&config.store).await?;
    let replica = Replica::new(config, store, keys)?;
    let listener = bind(&replica.network.listen).await?;
    replica.serve(listener, ended).await
}

/// Resolves at SIGTERM or ctrl-c. Both are caught from the call on, not only once somebody waits.
pub(super) fn signalled() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate: Signal = signal(SignalKind::terminate())?;
    let mut interrupt: Signal = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
