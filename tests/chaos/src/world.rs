//! The parts.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use device_grant_domain::RequestId;
use device_grant_testkit::parts::{self, DynamoDbLocal, Process, free_port};
use e2e::balancer::{self, Route};
use e2e::{Certificates, HOP, Keycloak, LOGIN, POOL, Television, binary, http_client, proxy, table};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::configuration::{self, CHECKS};
use crate::replica::Replica;
use crate::wire::{Mood, Wire};

/// How many servers share the table.
pub const REPLICAS: usize = 3;
/// How long devices and people wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often, and for how long, is looked whether haproxy has found all.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: usize = 300;
/// How long the pool may take over its realm, on a machine that has much to do.
const GETTING_UP: Duration = Duration::from_mins(2);

/// Three replicas behind haproxy, which watches them; their pool and their store.
#[derive(Debug)]
pub struct World {
    /// The user pool.
    pub pool: Keycloak,
    /// The servers.
    pub replicas: Vec<Replica>,
    /// The way to everything, for devices and people.
    pub street: Arc<Street>,
    _haproxy: Process,
}

/// Where a replica listens.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) service: u16,
    pub(crate) metrics: u16,
}

/// How devices, people and judges reach the parts.
#[derive(Debug)]
pub struct Street {
    tls_port: u16,
    authority: PathBuf,
}

impl World {
    /// The one world of this process, for the time that the guard is held; the first to ask starts it. Whoever had it
    /// before may have left it in any state: it is healed.
    pub async fn alone() -> anyhow::Result<MutexGuard<'static, Self>> {
        static WORLD: OnceCell<Result<Mutex<World>, String>> = OnceCell::const_new();
        let start = async || Self::start().await.map(Mutex::new).map_err(|problem| format!("{problem:#}"));
        let world = WORLD.get_or_init(start).await.as_ref();
        let mut world = world.map_err(|problem| anyhow!("the parts do not start: {problem}"))?.lock().await;
        world.heal().await?;
        Ok(world)
    }

    /// Everything runs, and nothing is disturbed any more.
    pub async fn heal(&mut self) -> anyhow::Result<()> {
        self.pool.resume();
        let http = self.street.http()?;
        for replica in &mut self.replicas {
            replica.wire.set(Mood::Calm);
            replica.start()?;
        }
        for replica in &mut self.replicas {
            replica.ready(&http).await?;
        }
        self.street.all_serve(&http).await
    }

    async fn start() -> anyhow::Result<Self> {
        let directory = parts::target().join("chaos");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let certificates = Certificates::make(&directory, &[LOGIN, POOL, HOP])?;
        let (tls_port, pool_port) = (free_port(), free_port());
        let street = Street { tls_port, authority: certificates.authority.clone() };

        // The slowest first: it gets up while the others do.
        let mut pool = Keycloak::start(pool_port, tls_port);
        let keyring = binary::keyring(&directory)?;
        let environment = binary::environment(&certificates.authority, proxy::start()?);
        let mut replicas = Vec::new();
        for number in 0..REPLICAS {
            let ports = Ports { service: free_port(), metrics: free_port() };
            let store = DynamoDbLocal::shared().endpoint_url();
            let wire = Wire::start(store.strip_prefix("http://").context("an endpoint in clear text")?)?;
            let text = configuration::replica(tls_port, &ports, &wire.endpoint_url(), &keyring);
            let configuration = directory.join(format!("replica-{number}.toml"));
            fs::write(&configuration, text)
                .with_context(|| format!("cannot write {}", configuration.display()))?;
            let environment = environment.clone();
            replicas.push(Replica { wire, ports, configuration, environment, process: None });
        }
        let migrate = binary::command("migrate", &replicas[0].configuration, &environment)?.output()?;
        ensure!(migrate.status.success(), "migrate: {migrate:?}");

        let ports: Vec<u16> = replicas.iter().map(|replica| replica.ports.service).collect();
        let routes = [Route::new(POOL, &[pool_port]), Route { options: CHECKS, ..Route::new(LOGIN, &ports) }];
        let haproxy = balancer::start(&directory, tls_port, &certificates, &routes)?;
        pool.set_up(&http_client(&certificates.authority, GETTING_UP)?, &configuration::realm(tls_port))
            .await?;
        Ok(Self { pool, replicas, street: Arc::new(street), _haproxy: haproxy })
    }
}

impl Street {
    /// An HTTP client that finds the names under `.test` and follows nothing.
    pub fn http(&self) -> anyhow::Result<reqwest::Client> {
        http_client(&self.authority, PATIENCE)
    }

    /// A device of the client `client_id`.
    pub fn television(&self, client_id: &str) -> anyhow::Result<Television> {
        Ok(Television::new(self.http()?, format!("https://{LOGIN}:{}", self.tls_port), client_id))
    }

    /// Waits until haproxy sends requests to every replica again.
    pub async fn all_serve(&self, http: &reqwest::Client) -> anyhow::Result<()> {
        let address = format!("https://{LOGIN}:{}/livez", self.tls_port);
        for _ in 0..LOOKS {
            let mut seen = HashSet::new();
            for _ in 0..REPLICAS {
                let answer = http.get(&address).send().await?;
                seen.extend(answer.headers().get("x-served-by").cloned());
            }
            if seen.len() == REPLICAS {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("haproxy does not find all replicas");
    }

    /// The state that a request has in the store, past all proxies; nothing where there is no such request.
    pub async fn stored_state(
        &self,
        http: &reqwest::Client,
        id: &RequestId,
    ) -> anyhow::Result<Option<String>> {
        let input = json!({ "Key": { "pk": { "S": format!("R#{id}") } }, "ConsistentRead": true });
        let found = table::call(http, "chaos", "GetItem", input).await?;
        Ok(found["Item"]["state"]["S"].as_str().map(str::to_owned))
    }
}
