//! One server, from before its table exists.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use device_grant_testkit::parts::{DynamoDbLocal, Process, free_port};
use serde_json::{Value, json};

use crate::service::{self, LOGIN_CLIENTS, Plan};
use crate::{LOGIN, Television, World};

/// `DynamoDB` Local wants to see a signature, and does not check it.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, \
                         SignedHeaders=host;x-amz-target, Signature=none";
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
        let text = service::configuration(world, &plan, table, port) + service::keyring(&directory)?.as_str();
        let configuration = directory.join("device-grant.toml");
        fs::write(&configuration, text)
            .with_context(|| format!("cannot write {}", configuration.display()))?;
        let environment = service::environment(world);
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
    pub async fn table(&self, operation: &str, mut input: Value) -> anyhow::Result<Value> {
        input["TableName"] = json!(self.table);
        let request = self
            .http
            .post(DynamoDbLocal::shared().endpoint_url())
            .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", SIGNATURE)
            .body(input.to_string());
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{operation}: {status} {text}");
        serde_json::from_str(&text).with_context(|| format!("{operation}: {text}"))
    }

    fn command(&self, verb: &str) -> anyhow::Result<Command> {
        service::command(verb, &self.configuration, &self.environment)
    }
}
