//! Where the keys live: read at the start, looked at again while a server runs, changed by `device-grant key`.

pub(crate) mod file;
mod wrapped;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use device_grant_aws::{AwsProblem, Connection, Kms, Secrets};
use device_grant_domain::{KeyMaterial, Keyring, Purpose, SystemEntropy, bytes};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::config::{self, Config, KeyringSource, StoreConfig};
use crate::wiring::{self, Store};
use wrapped::Wrapped;

/// For how long a start waits for AWS. An orchestrator starts the process again after that, and an operator reads why.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const SECRET_REST: Duration = Duration::from_mins(5);

/// Where the keys live.
pub(crate) enum KeyringHome {
    /// In the environment: they stay as they are.
    Environment,
    /// In a file.
    File(PathBuf),
    /// In a secret of AWS Secrets Manager, which somebody else writes.
    Secret(Secrets, String),
    /// In the store, each wrapped by KMS.
    Wrapped(Wrapped),
}

impl KeyringHome {
    /// The home that `config` names. Nothing is asked of AWS yet.
    pub(crate) async fn of(config: &Config, store: &Store) -> Self {
        match &config.keyring {
            KeyringSource::Given(_) => Self::Environment,
            KeyringSource::File(path, _) | KeyringSource::BesideStore(path) => Self::File(path.clone()),
            KeyringSource::Secret { id, region } => {
                let connection = Connection::to_region(region.clone()).load().await;
                Self::Secret(Secrets::new(&connection), id.clone())
            }
            KeyringSource::Kms { key, region } => {
                let connection = Connection::to_region(region.clone()).load().await;
                Self::Wrapped(Wrapped::new(store.records(), Kms::new(&connection, key), place(&config.store)))
            }
        }
    }

    /// The store, the home and the keys in it, for a command beside the servers.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<(Store, Self, Vec<KeyMaterial>)> {
        // First, since keys beside a store are made only where the store is new as well.
        let here = wiring::keys(&config.keyring, &config.store)?;
        let store = Store::open_beside(&config.store).await?;
        let home = Self::of(config, &store).await;
        let keys = match here {
            Some(keys) => keys,
            None => home.read().await?.context("nothing was read before")?,
        };
        Ok((store, home, keys))
    }

    /// How long the keys are not read again: a secret's value is paid for each time.
    pub(crate) fn rest(&self) -> Duration {
        if matches!(self, Self::Secret(..)) { SECRET_REST } else { Duration::ZERO }
    }

    /// The keys as they are there; `None` where they are known not to have changed since the last time.
    pub(crate) async fn read(&self) -> anyhow::Result<Option<Vec<KeyMaterial>>> {
        match self {
            Self::Environment => Ok(None),
            Self::File(path) => file::read(path).map(Some),
            Self::Secret(secrets, id) => {
                let text = secrets.read(id).await?;
                let keys = config::decode_keyring(text.expose_secret());
                keys.map(Some).map_err(|why| anyhow::anyhow!("the secret {id} is no keyring: {why}"))
            }
            Self::Wrapped(wrapped) => wrapped.read().await,
        }
    }

    /// The keys that a server starts with. In a store without any, the first server makes them.
    pub(crate) async fn first(&self) -> anyhow::Result<Vec<KeyMaterial>> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.read_or_make().await {
                Err(problem) if passes(&problem) => tracing::warn!("the keys cannot be had yet: {problem:#}"),
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.read_or_make().await
    }

    async fn read_or_make(&self) -> anyhow::Result<Vec<KeyMaterial>> {
        let keys = match self {
            Self::Wrapped(wrapped) => wrapped.read_or_make().await?,
            _ => self.read().await?,
        };
        keys.context("these keys are in the configuration")
    }

    /// Whether there are keys that can be opened; where there are none yet, whether some can be made.
    pub(crate) async fn look(&self) -> anyhow::Result<bool> {
        match self {
            Self::Wrapped(wrapped) if !wrapped.is_there().await? => {
                wrapped.fresh(Purpose::Request, 1).await?;
                Ok(false)
            }
            _ => {
                let keys = self.read().await?.unwrap_or_default();
                Keyring::new(keys)?;
                Ok(true)
            }
        }
    }

    /// A fresh key that does not seal yet.
    pub(crate) async fn fresh(&self, purpose: Purpose, number: u8) -> anyhow::Result<KeyMaterial> {
        let secret = match self {
            Self::Wrapped(wrapped) => wrapped.fresh(purpose, number).await?,
            _ => Zeroizing::new(bytes(&SystemEntropy)),
        };
        Ok(KeyMaterial { number, purpose, active: false, activated_at: None, secret })
    }

    /// Puts `keys` in the place of those that were read.
    pub(crate) async fn save(&self, keys: &[KeyMaterial]) -> anyhow::Result<()> {
        match self {
            Self::File(path) => file::replace(path, keys, &SystemEntropy),
            Self::Wrapped(wrapped) => wrapped.save(keys).await,
            Self::Environment => bail!(
                "the keys stand in keyring.keys: write them to a file, name it with --keyring, and put its new content back"
            ),
            Self::Secret(_, id) => bail!(
                "the keys stand in the secret {id}: write its value to a file, name it with --keyring, and put its new \
                 content back"
            ),
        }
    }

    /// What an operator calls it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Environment => "keyring.keys".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Secret(_, id) => format!("the secret {id}"),
            Self::Wrapped(wrapped) => wrapped.name(),
        }
    }

    /// What is left to do after a change.
    pub(crate) fn hand_out(&self) -> &'static str {
        match self {
            Self::Wrapped(_) => "Every replica reads it within ten seconds.",
            _ => "Give the file to every replica.",
        }
    }
}

/// What the keys are bound to: those of one table open nothing that was copied to another.
fn place(store: &StoreConfig) -> String {
    match store {
        StoreConfig::DynamoDb(table) => table.name.clone(),
        StoreConfig::Embedded(_) => "embedded".to_owned(),
    }
}

fn passes(problem: &anyhow::Error) -> bool {
    problem.downcast_ref::<AwsProblem>().is_some_and(AwsProblem::passes)
}
