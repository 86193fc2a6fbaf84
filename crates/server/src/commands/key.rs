//! `device-grant key`: keys are added, activated and retired without losing anybody.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use device_grant_domain::client::registry::Registry;
use device_grant_domain::keys::{self, Holding};
use device_grant_domain::{Clock, KeyMaterial, Keyring, Purpose, SystemClock, Timestamp};

use super::shown;
use crate::cli::{KeyAction, KeyFile, KeyPurpose, OneKey};
use crate::config::{self, Config, Environment, Log, LogFormat, StoreConfig};
use crate::keyring_home::{KeyringHome, file};
use crate::telemetry;
use crate::wiring::Store;

/// What was sealed for a request is of no use this long after the codes have run out.
const REQUEST_REST: Duration = Duration::from_hours(1);

pub(crate) async fn run(action: &KeyAction, environment: &Environment) -> anyhow::Result<()> {
    match action {
        KeyAction::List(file) => list(&mut Bench::open(file, environment).await?).await,
        KeyAction::Add { file, purpose } => {
            Bench::open(file, environment).await?.add((*purpose).into()).await
        }
        KeyAction::Activate { key, no_replica_runs } => {
            activate(&mut Bench::open(&key.file, environment).await?, key, *no_replica_runs).await
        }
        KeyAction::Retire { key, log_devices_out, end_logins } => {
            let at_once = match key.purpose {
                KeyPurpose::Request => *end_logins,
                KeyPurpose::Durable => *log_devices_out,
            };
            retire(&mut Bench::open(&key.file, environment).await?, key, at_once).await
        }
    }
}

/// A keyring to work on, and the store whose replicas use it.
struct Bench {
    config: Config,
    home: KeyringHome,
    keys: Vec<KeyMaterial>,
    store: Store,
    now: Timestamp,
}

impl Bench {
    async fn open(args: &KeyFile, environment: &Environment) -> anyhow::Result<Self> {
        let config = config::load(args.config.file(), environment)?;
        telemetry::start(&Log { format: LogFormat::Human, level: "error".to_owned() });
        if let StoreConfig::Embedded(path) = &config.store {
            // One that is made here has no replicas, and its first server would miss the keys that belong to it.
            ensure!(
                path.exists(),
                "there is no store {}: no server has run on it yet. Is this the configuration of the one that runs?",
                path.display()
            );
        }
        let file = args.keyring.as_deref().or_else(|| config.keyring.file());
        let (store, home, keys) = match file {
            Some(file) => {
                let keys = file::read(file)?;
                (Store::open_beside(&config.store).await?, KeyringHome::File(file.to_owned()), keys)
            }
            None => KeyringHome::open(&config).await?,
        };
        Ok(Self { config, home, keys, store, now: SystemClock.now() })
    }

    /// Adds a key that does not seal yet, under a number that none has had.
    async fn add(mut self, purpose: Purpose) -> anyhow::Result<()> {
        let numbers = self.keys.iter().filter(|key| key.purpose == purpose).map(|key| key.number);
        let number = numbers.max().unwrap_or_default().checked_add(1);
        let number = number.context("there is no number left above those in use: retire old keys first")?;
        self.keys.push(self.home.fresh(purpose, number).await?);
        self.home.save(&self.keys).await?;
        println!("Added {} key {number} to {}.", purpose.as_str(), self.home.name());
        println!("{} Then: device-grant key activate {} {number}", self.home.hand_out(), purpose.as_str());
        Ok(())
    }

    fn position(&self, purpose: Purpose, number: u8) -> anyhow::Result<usize> {
        let is_it = |key: &KeyMaterial| key.purpose == purpose && key.number == number;
        self.keys.iter().position(is_it).with_context(|| {
            format!(
                "{} has no {} key {number}; `device-grant key list` shows all",
                self.home.name(),
                purpose.as_str()
            )
        })
    }

    fn active(&self, purpose: Purpose) -> anyhow::Result<&KeyMaterial> {
        let active = self.keys.iter().find(|key| key.purpose == purpose && key.active);
        active.with_context(|| format!("no {} key is active", purpose.as_str()))
    }

    /// From when on nothing rests on what is sealed under a request key that is not active any more.
    fn request_rest_ends(&self) -> anyhow::Result<Option<Timestamp>> {
        let lives = self.config.clients.iter().filter_map(|client| client.lifetime);
        let longest = lives.max().unwrap_or_default().max(self.config.settings.lifetime);
        Ok(self.active(Purpose::Request)?.activated_at.map(|since| since + longest + REQUEST_REST))
    }

    /// The same for a durable key; it may be used any time by a device that has rested.
    async fn durable_rest_ends(&self, number: u8) -> anyhow::Result<Option<Timestamp>> {
        let used = keys::last_use(&*self.store.records(), number).await?;
        let since = self.active(Purpose::Durable)?.activated_at;
        Ok(used.max(since).map(|last| last + self.config.refresh_token_rest))
    }
}

async fn list(bench: &mut Bench) -> anyhow::Result<()> {
    let keyring = Keyring::new(bench.keys.clone())?;
    let holdings = keys::holdings(&*bench.store.records(), bench.now).await?;
    for key in &bench.keys {
        let name = keyring.name(key.purpose, key.number).context("the key was read from this keyring")?;
        let mut line = format!("{:<8} {:>3}  ", key.purpose.as_str(), key.number);
        line.push_str(if key.active { "seals and opens" } else { "opens          " });
        if let Some(at) = key.activated_at {
            write!(line, "  active since {}", shown(at))?;
        }
        let held = holdings.values().filter(|holding| holding.keys.contains(&name)).count();
        println!("{line}  held by {held} of {} replicas", holdings.len());
    }
    if holdings.is_empty() {
        println!("No replica was heard in the last minute.");
    }
    Ok(())
}

async fn activate(bench: &mut Bench, key: &OneKey, no_replica_runs: bool) -> anyhow::Result<()> {
    let purpose = Purpose::from(key.purpose);
    let position = bench.position(purpose, key.number)?;
    ensure!(!bench.keys[position].active, "{} key {} is active already", purpose.as_str(), key.number);
    let holdings = keys::holdings(&*bench.store.records(), bench.now).await?;
    ensure!(
        no_replica_runs || !holdings.is_empty(),
        "no replica was heard in the last minute, so nobody knows whether all of them have the key. Is this the store that they \
         use (store.kind, its table and region)? If none runs: --no-replica-runs"
    );
    let lacking = lacking(bench, holdings, purpose, key.number)?;
    ensure!(
        lacking.is_empty(),
        "these replicas do not have the key yet and could not open what the others seal: {}. Give them the file, and \
         wait until they have read it (ten seconds)",
        lacking.join(", ")
    );
    for (at, other) in bench.keys.iter_mut().enumerate() {
        if other.purpose == purpose {
            other.active = at == position;
        }
    }
    bench.keys[position].activated_at = Some(bench.now);
    bench.home.save(&bench.keys).await?;
    println!("{} key {} seals from now on. {}", purpose.as_str(), key.number, bench.home.hand_out());
    Ok(())
}

/// Those of the living replicas that are without this key.
fn lacking(
    bench: &Bench,
    holdings: BTreeMap<String, Holding>,
    purpose: Purpose,
    number: u8,
) -> anyhow::Result<Vec<String>> {
    let name =
        Keyring::new(bench.keys.clone())?.name(purpose, number).context("the key is in the keyring")?;
    let lacks = |(replica, holding): (String, Holding)| (!holding.keys.contains(&name)).then_some(replica);
    Ok(holdings.into_iter().filter_map(lacks).collect())
}

async fn retire(bench: &mut Bench, key: &OneKey, at_once: bool) -> anyhow::Result<()> {
    let (purpose, number) = (Purpose::from(key.purpose), key.number);
    let position = bench.position(purpose, number)?;
    ensure!(
        !bench.keys[position].active,
        "{} key {number} is active: add another and activate that first",
        purpose.as_str()
    );
    match purpose {
        // Nothing was ever sealed under a key that was never active.
        _ if bench.keys[position].activated_at.is_none() && number > bench.active(purpose)?.number => {}
        Purpose::Request if at_once => {}
        Purpose::Request => {
            let why = "requests, cookies and user codes may still rest on it; `--end-logins` retires it all the same";
            rested(bench.request_rest_ends()?, bench.now, why)?;
        }
        Purpose::Durable => {
            let (records, keyring) = (bench.store.records(), Keyring::new(bench.keys.clone())?);
            let registry = Registry::new(&*records, &keyring);
            registry.seal_anew().await?;
            let clients = registry.resting_on(number, bench.now).await?;
            let clients: Vec<_> = clients.iter().map(ToString::to_string).collect();
            ensure!(
                clients.is_empty(),
                "the secrets of these clients are hashed under it: {}. Each is hashed anew when the client proves itself, \
                 or give it a fresh one: device-grant client rotate-secret",
                clients.join(", ")
            );
            let why =
                "refresh tokens of devices may still rest on it; `--log-devices-out` retires it all the same";
            if !at_once {
                rested(bench.durable_rest_ends(number).await?, bench.now, why)?;
            }
        }
    }
    bench.keys.remove(position);
    bench.home.save(&bench.keys).await?;
    println!("Retired {} key {number}. {}", purpose.as_str(), bench.home.hand_out());
    Ok(())
}

/// Refuses until `ends`.
fn rested(ends: Option<Timestamp>, now: Timestamp, why: &str) -> anyhow::Result<()> {
    match ends {
        Some(ends) if now >= ends => Ok(()),
        Some(ends) => bail!("not before {}: {why}", shown(ends)),
        None => bail!("it is not known when its successor became active: {why}. Activate a fresh key first"),
    }
}

impl From<KeyPurpose> for Purpose {
    fn from(purpose: KeyPurpose) -> Self {
        match purpose {
            KeyPurpose::Request => Self::Request,
            KeyPurpose::Durable => Self::Durable,
        }
    }
}
