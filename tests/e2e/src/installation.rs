//! One server, from before its table exists.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use device_grant_testkit::parts::{Process, free_port};
use serde_json::Value;

use crate::service::{self, LOGIN_CLIENTS, Plan};
use crate::{LOGIN, Television, World, binary, table};

const PATIENCE: Duration = Duration::from_mins(1);

/// A configuration with a table of its own, and what can be done with it.
pub struct Installation {
    table: String,
    port: u16,
    configuration: PathBuf,
    environment: Vec<(&'static str, String)>,
    http: reqwest::Client,
}

impl Installation {
    pub(crate) fn prepare(world: &World, table: &str) -> anyhow::Result<Self> {
        let port = free_port();
        let directory = world.directory.join(table);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let plan = Plan::new(LOGIN, &LOGIN_CLIENTS);
        let text = service::configuration(world, &plan, table, port) + binary::keyring(&directory)?.as_str();
        let configuration = directory.join("device-grant.toml");
        fs::write(&configuration, text)
            .with_context(|| format!("cannot write {}", configuration.display()))?;
        let environment = binary::environment(&world.certificates.authority, world.proxy);
        Ok(Self { table: table.to_owned(), port, configuration, environment, http: world.http_client()? })
    }

    /// Runs `device-grant migrate`.
    pub fn migrate(&self) -> anyhow::Result<Output> {
        self.command("migrate")?.output().context("migrate does not start")
    }

    /// Runs `device-grant serve` where it is expected to end by itself.
    pub async fn serve_in_vain(&self) -> anyhow::Result<Output> {
        let mut serve = tokio::process::Command::from(self.command("serve")?);
        let ended = tokio::time::timeout(PATIENCE, serve.kill_on_drop(true).output());
        ended.await.context("serve has not ended")?.context("serve does not start")
    }

    /// Starts `device-grant serve`, and waits until it answers.
    pub fn serve(&self) -> anyhow::Result<Process> {
        let mut server = Process::start(&format!("server-{}", self.table), &self.command("serve")?);
        server.wait_for_http(self.port, "/livez", PATIENCE).map_err(|problem| anyhow!(problem))?;
        Ok(server)
    }

    /// A device that knows the server by its own address.
    pub fn television(&self) -> Television {
        Television::new(self.http.clone(), format!("http://127.0.0.1:{}", self.port), LOGIN_CLIENTS[0].0)
    }

    /// Calls the `DynamoDB` API on the table.
    pub async fn table(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        table::call(&self.http, &self.table, operation, input).await
    }

    fn command(&self, verb: &str) -> anyhow::Result<Command> {
        binary::command(verb, &self.configuration, &self.environment)
    }
}
