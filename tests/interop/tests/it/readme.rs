//! What the README tells people to run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool, Ways};
use device_grant_testkit::parts::{Process, free_port};
use interop::{Demo, Person, binary};
use serde_json::Value;

use crate::approve;

const README: &str = include_str!("../../../../README.md");

/// Every command of the README, and what runs it.
const COMMANDS: [(&str, &str); 8] = [
    ("cargo run --release -- demo", "the_demo_logs_a_television_in"),
    ("cargo xtask test", ".ci/run"),
    ("curl --silent --data client_id=demo-tv", "the_two_requests_of_a_device_work_with_curl"),
    (
        "curl --silent --data client_id=demo-tv --data grant_type=urn:ietf:params:oauth:grant-type:device_code",
        "the_two_requests_of_a_device_work_with_curl",
    ),
    ("device-grant doctor --config device-grant.toml", "the_configurations_of_the_readme_serve"),
    ("device-grant serve --config device-grant.toml", "the_configurations_of_the_readme_serve"),
    ("device-grant init --keyring device-grant.keys", "tests/e2e: every scenario starts with it"),
    ("device-grant migrate --config device-grant.toml", "tests/e2e: every scenario starts with it"),
];

/// A page's blocks of one language.
pub(crate) fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The lines of those blocks that begin with `start`.
pub(crate) fn lines<'a>(page: &'a str, language: &str, start: &str) -> Vec<&'a str> {
    blocks(page, language).into_iter().flat_map(str::lines).filter(|line| line.starts_with(start)).collect()
}

/// Every command of `page` is in the list of those that something runs, and the other way round.
pub(crate) fn show_who_runs(page: &str, commands: &[(&str, &str)]) -> anyhow::Result<()> {
    let lines = lines(page, "sh", "");
    // What a command begins with may go on, but not within a word.
    let is = |line: &str, command| {
        line.strip_prefix(command).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    for line in &lines {
        ensure!(commands.iter().any(|(command, _)| is(line, command)), "nothing runs: {line}");
    }
    for (command, _) in commands {
        ensure!(lines.iter().any(|line| is(line, command)), "not on the page any more: {command}");
    }
    Ok(())
}

#[test]
fn every_command_of_the_readme_is_run_somewhere() -> anyhow::Result<()> {
    show_who_runs(README, &COMMANDS)?;
    let ci = include_str!("../../../../.ci/run");
    ensure!(ci.contains("exec cargo xtask test\n"), "the test command is what CI runs");
    Ok(())
}

/// The television in the terminal, and the person whom it asks to open the page.
#[tokio::test]
async fn the_demo_logs_a_television_in() -> anyhow::Result<()> {
    let mut command = Command::new(binary()?);
    command.args(["demo", "--listen", "127.0.0.1:0"]);
    let mut demo = Process::start("television", &command);
    let patience = Duration::from_secs(30);
    let after = |line: &str, words: &str| line.split(words).nth(1).map(|rest| rest.trim().to_owned());
    let line = demo.wait_for_line(patience, |line| line.contains("or open")).map_err(anyhow::Error::msg)?;
    let address = after(&line, "or open").context("no address")?;
    let line = demo.wait_for_line(patience, |line| line.contains("and enter")).map_err(anyhow::Error::msg)?;
    let user_code = after(&line, "and enter").context("no code")?;
    let outcome = Person::new("alice", "alice")?.approve(&address, &user_code).await?;
    ensure!(outcome == "approved", "{outcome}");
    demo.wait_for_line(patience, |line| line.contains("account        Alice")).map_err(anyhow::Error::msg)?;
    ensure!(demo.output().contains("Connected."), "{}", demo.output());
    Ok(())
}

/// DA-01, TP-02, TP-07: start and poll, as the README writes them.
#[tokio::test]
async fn the_two_requests_of_a_device_work_with_curl() -> anyhow::Result<()> {
    let demo = Demo::start()?;
    let curls = lines(README, "sh", "curl");
    let [start, poll] = curls[..] else { anyhow::bail!("the README has two requests: {curls:?}") };
    let codes = shell_json(&demo, start, &[])?;
    let text = |member: &str| codes[member].as_str().with_context(|| format!("no {member} in {codes}"));
    let device = [("DEVICE_CODE", text("device_code")?)];
    ensure!(shell_json(&demo, poll, &device)?["error"] == "authorization_pending");
    approve(&demo, text("verification_uri")?, text("user_code")?).await?;
    ensure!(shell_json(&demo, poll, &device)?["access_token"].is_string());
    Ok(())
}

/// Runs a line of a page against the demo, which listens on another port than the page's.
pub(crate) fn shell(demo: &Demo, line: &str, environment: &[(&str, &str)]) -> anyhow::Result<String> {
    let line = line.replace("http://127.0.0.1:8080", demo.fact("base_url")?);
    let mut command = Command::new("sh");
    command
        .args(["-c", &line])
        .envs(environment.iter().copied())
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null());
    let output = command.output()?;
    ensure!(output.status.success(), "{line}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The same, for a line that answers JSON.
pub(crate) fn shell_json(demo: &Demo, line: &str, environment: &[(&str, &str)]) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&shell(demo, line, environment)?)?)
}

/// The configurations for Keycloak and for Cognito: with a pool of this machine in the place of theirs, `doctor` finds nothing
/// to mend, and `serve` serves.
#[tokio::test]
async fn the_configurations_of_the_readme_serve() -> anyhow::Result<()> {
    let [keycloak, cognito] = blocks(README, "toml")[..] else {
        anyhow::bail!("the README has two configurations")
    };
    let (before, rest) = keycloak.split_once("[upstream]").context("no [upstream]")?;
    let (_, clients) = rest.split_once("[[client]]").context("no [[client]]")?;
    let for_cognito = clients.replace("extra_scopes = [\"offline_access\"]\n", "");
    ensure!(for_cognito != clients, "the scope that Cognito does not have is not there");
    for (name, text) in
        [("keycloak", keycloak.to_owned()), ("cognito", format!("{before}{cognito}[[client]]{for_cognito}"))]
    {
        serves(&format!("readme-{name}"), &text).await?;
    }
    Ok(())
}

/// A configuration of a page serves, with a pool of this machine in the place of its own.
pub(crate) async fn serves(name: &str, text: &str) -> anyhow::Result<()> {
    let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let served = serve(&directory, text).await;
    std::fs::remove_dir_all(&directory)?;
    served.with_context(|| format!("{name}: {text}"))
}

async fn serve(directory: &Path, text: &str) -> anyhow::Result<()> {
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).with_context(|| format!("no {key}"))?;
        line.split('"').nth(1).map(str::to_owned).with_context(|| format!("no text in {line}"))
    };
    let (client_id, port) = (value("client_id")?, free_port());
    let callback = format!("http://127.0.0.1:{port}/callback");
    let cognito = value("user_pool_id").ok();
    let pool = LoopbackPool::spawn(|mut issuer| {
        let mut ways = Ways::Standard;
        if let Some(pool_id) = &cognito {
            issuer.set_path(pool_id);
            ways = Ways::Cognito;
        }
        let clients = vec![DevClient::confidential(client_id, "pool-secret", callback)];
        DevPoolConfig { clients, ways, ..DevPoolConfig::new(issuer) }
    });
    let pool = pool.await?;
    let secret = directory.join("secret");
    std::fs::write(&secret, "pool-secret\n")?;
    let config = directory.join("device-grant.toml");
    // Of a Cognito pool the id is enough, but not where it is on this machine.
    let (issuer, here_is_the_pool) = match cognito {
        Some(_) => {
            let preset = "preset = \"cognito\"".to_owned();
            let both = format!("{preset}\nissuer = \"{}\"", pool.issuer());
            (preset, both)
        }
        None => (value("issuer")?, pool.issuer().to_owned()),
    };
    let here = text
        .replace(&value("public_url")?, &format!("http://127.0.0.1:{port}"))
        .replace(&value("listen")?, &format!("127.0.0.1:{port}"))
        .replace(&issuer, &here_is_the_pool)
        .replace(&value("client_secret_file")?, &secret.display().to_string());
    std::fs::write(&config, here)?;

    let command = |name: &str| -> anyhow::Result<Command> {
        let mut command = Command::new(binary()?);
        command
            .args([name, "--config", "device-grant.toml"])
            .current_dir(directory)
            .env("NO_PROXY", "127.0.0.1");
        Ok(command)
    };
    let mut doctor = command("doctor")?;
    let examined = tokio::task::spawn_blocking(move || doctor.output()).await??;
    ensure!(examined.status.success(), "doctor: {examined:?}");
    let mut replica = Process::start(&format!("readme-{port}"), &command("serve")?);
    replica.wait_for_http(port, "/livez", Duration::from_secs(30)).map_err(anyhow::Error::msg)?;
    let start = format!("http://127.0.0.1:{port}/device_authorization");
    let http = reqwest::Client::builder().no_proxy().build()?;
    let started = http.post(start).form(&[("client_id", "living-room-tv")]).send().await?;
    ensure!(started.status().is_success(), "{}", started.text().await?);
    Ok(())
}
