//! The release binary: two replicas on one table.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use device_grant_testkit::parts::{DynamoDbLocal, Process};

use crate::World;
use crate::binary::{self, command};

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
    let environment = binary::environment(&world.certificates.authority, world.proxy);
    let directory = world.directory.join(plan.name);
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let keyring = binary::keyring(&directory)?;

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
        text.push_str(&binary::client(id));
        let _ = writeln!(text, "name = \"{name}\"");
        if *id == TYPING {
            text.push_str("[client.policies]\ntyped_after_link = 2\n");
        }
    }
    text
}
