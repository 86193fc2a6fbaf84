//! Keycloak, the user pool.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use device_grant_testkit::parts::{self, Process};
use serde_json::Value;

use crate::POOL;

const ADMINISTRATOR: &str = "administrator";

/// A Keycloak in memory.
#[derive(Debug)]
pub struct Keycloak {
    process: Process,
    /// Where it answers in plain http, for its administrator.
    local: String,
    tls_port: u16,
}

impl Keycloak {
    /// Starts it on `port`, to be reached by browsers through the balancer's `tls_port`; does not wait for it.
    pub fn start(port: u16, tls_port: u16) -> Self {
        let home = parts::directory("keycloak").join("home");
        let mut keycloak = Command::new("bash");
        keycloak.env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m");
        keycloak.env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMINISTRATOR);
        keycloak.env("KC_BOOTSTRAP_ADMIN_PASSWORD", ADMINISTRATOR);
        keycloak.arg(home.join("bin/kc.sh")).args(["start", "--optimized", "--cache=local"]);
        keycloak.args(["--http-enabled=true", "--http-host=127.0.0.1", "--proxy-headers=xforwarded"]);
        keycloak.arg(format!("--http-port={port}")).arg(format!("--hostname=https://{POOL}:{tls_port}"));
        let process = Process::start("keycloak", &keycloak);
        Self { process, local: format!("http://127.0.0.1:{port}"), tls_port }
    }

    /// Waits until it answers, and gives it the realm `people`.
    pub async fn set_up(&mut self, http: &reqwest::Client, realm: &Value) -> anyhow::Result<()> {
        let port = self.local.rsplit(':').next().and_then(|port| port.parse().ok()).context("no port")?;
        let ready = self.process.wait_for_http(port, "/realms/master", Duration::from_mins(3));
        ready.map_err(|problem| anyhow!(problem))?;

        let answer = http
            .post(format!("{}/admin/realms", self.local))
            .bearer_auth(self.administrator(http).await?)
            .json(realm)
            .send()
            .await?;
        if !answer.status().is_success() {
            bail!("Keycloak refuses the realm: {} {}", answer.status(), answer.text().await?);
        }
        Ok(())
    }

    /// Lets it stand still: connections to it open, and nothing answers.
    pub fn pause(&mut self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.process.signal("CONT");
    }

    /// How often `client` has brought a code of the pool's session `session` to the token endpoint, in vain or not.
    pub async fn exchanges(
        &self,
        http: &reqwest::Client,
        client: &str,
        session: &str,
    ) -> anyhow::Result<usize> {
        let address = format!("{}/admin/realms/people/events?client={client}&max=10000", self.local);
        let request = http.get(address).bearer_auth(self.administrator(http).await?);
        let events: Vec<Value> = request.send().await?.error_for_status()?.json().await?;
        let about = |event: &&Value| event["sessionId"] == session || event["details"]["code_id"] == session;
        Ok(events.iter().filter(about).count())
    }

    /// The issuer that the service is configured with.
    pub fn issuer(&self) -> String {
        format!("https://{POOL}:{}/realms/people", self.tls_port)
    }

    /// An endpoint of the realm, such as `auth`, `token` or `logout`.
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/protocol/openid-connect/{name}", self.issuer())
    }

    async fn administrator(&self, http: &reqwest::Client) -> anyhow::Result<String> {
        let token_url = format!("{}/realms/master/protocol/openid-connect/token", self.local);
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", ADMINISTRATOR),
            ("password", ADMINISTRATOR),
        ];
        let token: Value = http.post(token_url).form(&form).send().await?.error_for_status()?.json().await?;
        Ok(token["access_token"].as_str().context("the administrator gets no token")?.to_owned())
    }
}
