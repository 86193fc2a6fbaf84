use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{bail, ensure};
use device_grant_testkit::parts::Process;
use e2e::binary;

use crate::wire::Wire;
use crate::world::Ports;

/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long its metrics may take.
const SCRAPE: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One server, which can be killed and started again.
#[derive(Debug)]
pub struct Replica {
    /// Its way to the store.
    pub wire: Wire,
    pub(crate) ports: Ports,
    pub(crate) configuration: PathBuf,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) process: Option<Process>,
}

impl Replica {
    /// Starts it, if it does not run; does not wait for it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        if self.process.is_none() {
            let serve = binary::command("serve", &self.configuration, &self.environment)?;
            self.process = Some(Process::start(&format!("replica-{}", self.ports.service), &serve));
        }
        Ok(())
    }

    /// Where it listens, in clear text and with no balancer in front.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.service))
    }

    /// How often something has happened to logins since it was started, as its metrics tell; 0 where they do not answer.
    pub async fn events(&self, http: &reqwest::Client, event: &str, outcome: &str) -> u64 {
        let address = format!("http://127.0.0.1:{}/metrics", self.ports.metrics);
        let Ok(answer) = http.get(address).timeout(SCRAPE).send().await else { return 0 };
        let start = format!("device_grant_events_total{{event=\"{event}\",outcome=\"{outcome}\"");
        let text = answer.text().await.unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(&start));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Ends it in the middle of everything (KILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("KILL");
        }
    }

    /// Asks it to end (TERM), and waits until it has done so by itself.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let Some(mut process) = self.process.take() else { bail!("it does not run") };
        process.signal("TERM");
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            if let Some(status) = process.ended() {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("it has not ended after {PATIENCE:?}:\n{}", process.output())
    }

    /// Waits until `/readyz` is content.
    pub async fn ready(&mut self, http: &reqwest::Client) -> anyhow::Result<()> {
        let address = format!("http://{}/readyz", self.address());
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            if http.get(&address).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(process) = &mut self.process {
                ensure!(process.ended().is_none(), "it has ended:\n{}", process.output());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("it is not ready after {PATIENCE:?}")
    }
}
