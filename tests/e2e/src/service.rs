//! The release binary: two replicas on one table.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use device_grant_testkit::parts::{self, DynamoDbLocal, Process};

use crate::World;

/// A device client: its id, and the name that people see.
pub(crate) type Client = (&'static str, &'static str);

pub(crate) const LOGIN_CLIENTS: [Client; 2] = [("tv", "Living Room TV"), ("tv-two", "Bedroom TV")];
pub(crate) const PAIRWISE_CLIENTS: [Client; 1] = [(TYPING, "Pairwise TV")];
/// After a link its people have to type the end of the code from its screen.
const TYPING: &str = "tv-pairwise";
pub(crate) const MISCONFIGURED_CLIENTS: [Client; 1] = [("tv-misconfigured", "Misconfigured TV")];
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What one service has that others have not.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) clients: &'static [Client],
    pub(crate) account_claim: Option<&'static str>,
    /// The one address that it believes to be a proxy's.
    pub(crate) proxy: Ipv4Addr,
    /// Further sections of its configuration.
    pub(crate) sections: String,
}

impl Plan {
    pub(crate) fn new(name: &'static str, clients: &'static [Client]) -> Self {
        Self { name, clients, account_claim: None, proxy: LOOPBACK, sections: String::new() }
    }
}

/// Two replicas under one name.
pub struct Service {
    origin: String,
    port: u16,
    configuration: PathBuf,
    environment: Vec<(&'static str, String)>,
    _replicas: Vec<Process>,
}

impl Service {
    /// `public_url`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where one of the replicas listens, without TLS and without anything in front.
    pub fn replica(&self) -> String {
        format!("http://{LOOPBACK}:{}", self.port)
    }

    /// What `device-grant doctor` says of this service's configuration.
    pub fn doctor(&self) -> anyhow::Result<Output> {
        let mut doctor = command("doctor", &self.configuration, &self.environment)?;
        doctor.output().context("the doctor does not start")
    }
}

/// Prepares the table, and starts a replica on each port.
pub(crate) fn start(world: &World, plan: &Plan, ports: [u16; 2]) -> anyhow::Result<Service> {
    let environment = environment(world);
    let directory = world.directory.join(plan.name);
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let keyring = keyring(&directory)?;

    let mut replicas = Vec::new();
    for port in ports {
        let table = plan.name.split('.').next().unwrap_or_default();
        let text = configuration(world, plan, table, port) + keyring.as_str();
        let file = configuration_file(&directory, port);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        if replicas.is_empty() {
            let migrated =
                command("migrate", &file, &environment)?.output().context("migrate does not start")?;
            ensure!(migrated.status.success(), "migrate: {migrated:?}");
        }
        let mut replica = Process::start(&format!("replica-{port}"), &command("serve", &file, &environment)?);
        replica.wait_for_http(port, "/livez", Duration::from_secs(30)).map_err(|problem| anyhow!(problem))?;
        replicas.push(replica);
    }
    Ok(Service {
        origin: world.origin(plan.name),
        port: ports[0],
        configuration: configuration_file(&directory, ports[0]),
        environment,
        _replicas: replicas,
    })
}

fn configuration_file(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!("device-grant-{port}.toml"))
}

pub(crate) fn configuration(world: &World, plan: &Plan, table: &str, port: u16) -> String {
    let mut text = format!(
        r#"public_url = "{origin}"
listen = "127.0.0.1:{port}"
[store]
kind = "dynamodb"
table = "{table}"
endpoint_url = "{store}"
[upstream]
issuer = "{issuer}"
client_id = "dg-sign-in"
client_secret = "sign-in-secret"
"#,
        origin = world.origin(plan.name),
        store = DynamoDbLocal::shared().endpoint_url(),
        issuer = world.pool.issuer(),
    );
    if let Some(claim) = plan.account_claim {
        let _ = writeln!(text, "account_claim = \"{claim}\"");
    }
    let _ = writeln!(text, "[network]\ntrusted_proxies = [\"{}/32\"]", plan.proxy);
    text.push_str(&plan.sections);
    for (id, name) in plan.clients {
        let _ = write!(
            text,
            r#"[[client]]
id = "{id}"
name = "{name}"
auth_method = "client_secret_basic"
secret = "{id}-secret"
upstream_client_id = "same"
scopes = ["openid", "profile", "offline_access"]
token_set = "ID+ACCESS+REFRESH"
"#
        );
        if *id == TYPING {
            text.push_str("[client.policies]\ntyped_after_link = 2\n");
        }
    }
    text
}

/// The section that gives both replicas the same keys, which the binary makes.
pub(crate) fn keyring(directory: &Path) -> anyhow::Result<String> {
    let file = directory.join("keyring");
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    let init = Command::new(binary()?).args(["init", "--keyring"]).arg(&file).current_dir(directory).output();
    let init = init.context("init does not start")?;
    ensure!(init.status.success() && file.is_file(), "init: {init:?}");
    Ok(format!("[keyring]\nfile = \"{}\"\n", file.display()))
}

/// What the servers find in the environment, besides what the tests have themselves.
pub(crate) fn environment(world: &World) -> Vec<(&'static str, String)> {
    vec![
        ("HTTPS_PROXY", format!("http://{}", world.proxy)),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("SSL_CERT_FILE", world.certificates.authority.display().to_string()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        // The default of five seconds would be most of what these tests take.
        ("POLLING_INTERVAL", "1".to_owned()),
    ]
}

pub(crate) fn command(
    verb: &str,
    configuration: &Path,
    environment: &[(&'static str, String)],
) -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    command.arg(verb).arg("--config").arg(configuration);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

fn binary() -> anyhow::Result<PathBuf> {
    let binary = parts::target().join("release/device-grant");
    ensure!(binary.is_file(), "{} is missing: cargo build --release -p device-grant", binary.display());
    Ok(binary)
}
