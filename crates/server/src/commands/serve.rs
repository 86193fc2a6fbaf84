//! `device-grant serve`.

use std::path::Path;

use device_grant_domain::store::StoreProblem;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::replica::{Replica, bind};
use crate::config::{self, Environment};
use crate::keyring_home::KeyringHome;
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
    let on_lambda = config::is_on_lambda(environment);
    #[cfg(not(feature = "lambda"))]
    anyhow::ensure!(!on_lambda, super::NOT_FOR_LAMBDA);
    #[cfg(feature = "lambda")]
    if on_lambda {
        super::lambda::check(&config)?;
    }
    let ended = signalled()?;
    let keys = wiring::keys(&config.keyring, &config.store)?;
    let store = Store::open(&config.store).await?;
    let home = KeyringHome::of(&config, &store).await;
    let keys = if let Some(keys) = keys {
        keys
    } else {
        usable(&store).await?;
        home.first().await?
    };
    let replica = Replica::new(config, store, (home, keys)).await?;
    #[cfg(feature = "lambda")]
    if on_lambda {
        return super::lambda::serve(replica, ended).await;
    }
    let listener = bind(&replica.network.listen).await?;
    replica.serve(listener, ended).await
}

/// Whether the store can have keys at all. One that does not answer is asked again for them.
async fn usable(store: &Store) -> Result<(), StoreProblem> {
    match store.port().check().await {
        Err(problem @ (StoreProblem::Missing { .. } | StoreProblem::Schema { .. })) => Err(problem),
        _ => Ok(()),
    }
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
