//! `device-grant client`: device clients that are kept in the store.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use device_grant_domain::client::registry::{Registration, Registry, StoredSecret, fresh_secret};
use device_grant_domain::records::RecordStore;
use device_grant_domain::{Clock, Keyring, SystemClock, SystemEntropy, Timestamp};
use device_grant_protocol::{ClientId, ClientSecret};
use url::Url;

use super::shown;
use crate::cli::{ClientAction, ClientSettings, ConfigFile, Method};
use crate::config::{self, Environment, Log, LogFormat, Registrations};
use crate::keyring_home::KeyringHome;
use crate::telemetry;

pub(crate) async fn run(
    file: &ConfigFile,
    action: &ClientAction,
    environment: &Environment,
) -> anyhow::Result<()> {
    let mut desk = Desk::open(file, environment).await?;
    match action {
        ClientAction::Add { id, settings } => desk.add(id, settings).await,
        ClientAction::List => desk.list().await,
        ClientAction::Show { id } => desk.show(id).await,
        ClientAction::RotateSecret { id, keep_old_s } => desk.rotate(id, *keep_old_s).await,
        ClientAction::Remove { id } => {
            desk.registry().remove(id).await?;
            println!(
                "Removed {id}. Servers refuse it within ten seconds; what it holds at the pool lives on."
            );
            if let Some(callback_url) = &desk.pools_callback_url {
                println!(
                    "With clients.from_pool the pool's app client {id}, if there is one, is a device client again, without the \
                     policies of this registration: to end that, take {callback_url} from its callback URLs."
                );
            }
            Ok(())
        }
    }
}

/// What every action needs.
struct Desk {
    registrations: Registrations,
    keyring: Keyring,
    records: Arc<dyn RecordStore>,
    /// Which callback URL makes an app client of the pool a device client; `None` where nothing does.
    pools_callback_url: Option<Url>,
    now: Timestamp,
}

impl Desk {
    async fn open(file: &ConfigFile, environment: &Environment) -> anyhow::Result<Self> {
        let config = config::load(file.file(), environment)?;
        telemetry::start(&Log { format: LogFormat::Human, level: "error".to_owned() });
        ensure!(
            config.in_store,
            "the servers look for clients in their configuration only: set clients.in_store = true first"
        );
        let (store, _, keys) = KeyringHome::open(&config).await?;
        let keyring = Keyring::new(keys)?;
        Ok(Self {
            registrations: config.registrations,
            keyring,
            records: store.records(),
            pools_callback_url: config.from_pool.then(|| config.settings.redirect_uri()),
            now: SystemClock.now(),
        })
    }

    fn registry(&self) -> Registry<'_> {
        Registry::new(&*self.records, &self.keyring)
    }

    async fn add(&mut self, id: &ClientId, settings: &ClientSettings) -> anyhow::Result<()> {
        let secret = settings.auth_method.has_secret().then(|| fresh_secret(&SystemEntropy));
        let registration = Registration {
            settings: written(settings)?,
            secrets: secret.iter().map(|secret| StoredSecret::of(secret, &self.keyring)).collect(),
            jwks: jwks(settings)?,
        };
        self.registrations.client(id, &registration)?;
        self.registry().add(id, &registration).await?;
        println!("Registered {id}. Every server knows it within ten seconds.");
        tell(id, secret.as_ref());
        Ok(())
    }

    async fn list(&self) -> anyhow::Result<()> {
        let index = self.registry().index().await?;
        for id in index.keys() {
            let client = match self.registry().find(id).await {
                Ok(Some(registration)) => {
                    self.registrations.client(id, &registration).map_err(anyhow::Error::from)
                }
                Ok(None) => continue,
                Err(problem) => Err(problem.into()),
            };
            match client {
                Ok(client) => println!("{id}  {}  {:?}", client.name, client.auth.methods()),
                Err(problem) => println!("{id}  NOT USABLE: {problem}"),
            }
        }
        println!("{} registered in the store; those of the configuration stand there.", index.len());
        Ok(())
    }

    async fn show(&self, id: &ClientId) -> anyhow::Result<()> {
        let found = self.registry().find(id).await?;
        let registration = found.with_context(|| format!("{id} is not registered"))?;
        print!("id = {}\n{}", quoted(id.as_str()), registration.settings);
        for secret in &registration.secrets {
            let until = secret.until.map(|until| format!(", until {}", shown(until))).unwrap_or_default();
            println!("# a secret, hashed under durable key {}{until}", secret.key);
        }
        if let Some(jwks) = &registration.jwks {
            println!("# its keys: {jwks}");
        }
        self.registrations.client(id, &registration)?;
        Ok(())
    }

    /// The old secret stays good for a while, so that devices can change over one by one.
    async fn rotate(&self, id: &ClientId, keep_old_s: u64) -> anyhow::Result<()> {
        let found = self.registry().find(id).await?;
        let has_secret = found.is_some_and(|registration| !registration.secrets.is_empty());
        ensure!(has_secret, "{id} is not registered, or has no secret");
        let secret = fresh_secret(&SystemEntropy);
        let until = self.now + Duration::from_secs(keep_old_s);
        let put_before = |registration: &mut Registration| {
            registration.secrets.truncate(1);
            for old in &mut registration.secrets {
                old.until = Some(until);
            }
            registration.secrets.insert(0, StoredSecret::of(&secret, &self.keyring));
            true
        };
        self.registry().change(id, put_before).await?;
        println!("The old secret of {id} is good until {}.", shown(until));
        tell(id, Some(&secret));
        Ok(())
    }
}

/// What the device needs. A secret is shown this once.
fn tell(id: &ClientId, secret: Option<&ClientSecret>) {
    println!("client_id      {id}");
    if let Some(secret) = secret {
        println!("client_secret  {}", secret.expose());
        println!("It is shown only now: the store keeps a hash.");
    }
}

/// The settings as a `[[client]]` has them.
fn written(settings: &ClientSettings) -> anyhow::Result<String> {
    let mut text = format!("auth_method = {}\n", quoted(settings.auth_method.as_str()));
    if let Some(name) = &settings.name {
        writeln!(text, "name = {}", quoted(name))?;
    }
    if !settings.scope.is_empty() {
        let scopes: Vec<_> = settings.scope.iter().map(|scope| quoted(scope)).collect();
        writeln!(text, "scopes = [{}]", scopes.join(", "))?;
    }
    if let Some(file) = &settings.settings {
        let more = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        text.push_str(&more);
    }
    Ok(text)
}

/// JSON texts are TOML texts.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn jwks(settings: &ClientSettings) -> anyhow::Result<Option<String>> {
    match (&settings.jwks_file, settings.auth_method) {
        (Some(file), Method::PrivateKeyJwt) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            if let Err(expected) = config::read_keys(text.as_bytes()) {
                bail!("{}: expected {expected}", file.display());
            }
            Ok(Some(text))
        }
        (None, Method::PrivateKeyJwt) => {
            bail!("private_key_jwt needs the client's public keys: --jwks-file FILE")
        }
        (Some(_), _) => bail!("--jwks-file belongs to --auth-method private_key_jwt"),
        (None, _) => Ok(None),
    }
}
