use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use device_grant_testkit::parts::{self, Process};
use serde_json::Value;

/// `device-grant demo`, without its device.
#[derive(Debug)]
pub struct Demo {
    facts: Value,
    _process: Process,
}

impl Demo {
    /// Starts it on a free port of loopback.
    pub fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["demo", "--no-device", "--listen", "127.0.0.1:0"]);
        let mut process = Process::start("demo", &command);
        let is_facts = |line: &str| line.starts_with('{') && line.contains("\"base_url\"");
        let line =
            process.wait_for_line(Duration::from_secs(30), is_facts).map_err(|problem| anyhow!(problem))?;
        Ok(Self { facts: serde_json::from_str(&line)?, _process: process })
    }

    /// One of the facts that it prints: `base_url`, `client_id`, `client_secret`, `public_client_id`, `username`,
    /// `password`.
    pub fn fact(&self, name: &str) -> anyhow::Result<&str> {
        self.facts[name].as_str().with_context(|| format!("the demo does not print {name}: {}", self.facts))
    }
}

/// The newest `device-grant` that cargo has built, in whichever profile.
pub fn binary() -> anyhow::Result<PathBuf> {
    let built = ["release", "debug"].map(|profile| parts::target().join(profile).join("device-grant"));
    let built = built.into_iter().filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)));
    let newest = built.max().map(|(_, path)| path);
    newest.context("there is no device-grant: cargo build --release -p device-grant")
}
