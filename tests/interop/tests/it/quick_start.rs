//! What the book's quick start tells people to run.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use device_grant_testkit::parts::Process;
use interop::{Demo, Person, binary};
use serde_json::Value;

use crate::approve;
use crate::readme::{blocks, lines, serves, shell, shell_json, show_who_runs};

const PAGE: &str = include_str!("../../../../docs/quick-start.md");

/// Every command of the page, and what runs it.
const COMMANDS: [(&str, &str); 13] = [
    ("cargo run --release -- demo", "readme: the_demo_logs_a_television_in"),
    ("cargo run --release -- demo --no-device", "Demo"),
    ("curl --silent http://127.0.0.1:8080/.well-known", "the_requests_of_the_quick_start_work_with_curl"),
    ("curl --silent --data client_id=demo-tv http", "the_requests_of_the_quick_start_work_with_curl"),
    (
        "curl --silent --data client_id=demo-tv --data grant_type=refresh_token",
        "the_requests_of_the_quick_start_work_with_curl",
    ),
    (
        "curl --silent --data client_id=demo-tv --data grant_type=urn:ietf:params:oauth:grant-type:device_code",
        "the_requests_of_the_quick_start_work_with_curl",
    ),
    (
        "curl --silent --data client_id=demo-tv --data token=",
        "the_requests_of_the_quick_start_work_with_curl",
    ),
    ("device-grant login --issuer", "the_login_of_the_quick_start_is_a_device"),
    ("device-grant init", "crates/server: init_writes_a_good_configuration_once"),
    ("device-grant doctor --config device-grant.toml", "the_configuration_of_the_quick_start_serves"),
    ("device-grant serve --config device-grant.toml", "the_configuration_of_the_quick_start_serves"),
    ("device-grant init --keyring device-grant.keys", "tests/e2e: every scenario starts with it"),
    ("device-grant migrate --config device-grant.toml", "tests/e2e: every scenario starts with it"),
];

#[test]
fn every_command_of_the_quick_start_is_run_somewhere() -> anyhow::Result<()> {
    show_who_runs(PAGE, &COMMANDS)
}

/// DA-01, TP-02, TP-07, RT-01: the whole life of a device, as the page writes it.
#[tokio::test]
async fn the_requests_of_the_quick_start_work_with_curl() -> anyhow::Result<()> {
    let demo = Demo::start()?;
    let curls = lines(PAGE, "sh", "curl");
    let [metadata, start, poll, refresh, give_up] = curls[..] else {
        anyhow::bail!("the page has five requests: {curls:?}")
    };
    let text = |answer: &Value, member: &str| {
        let value = answer[member].as_str().map(str::to_owned);
        value.with_context(|| format!("no {member} in {answer}"))
    };

    let metadata = shell_json(&demo, metadata, &[])?;
    ensure!(metadata["issuer"] == demo.fact("base_url")?, "{metadata}");
    let codes = shell_json(&demo, start, &[])?;
    let device_code = text(&codes, "device_code")?;
    let device = [("DEVICE_CODE", device_code.as_str())];
    ensure!(shell_json(&demo, poll, &device)?["error"] == "authorization_pending");
    approve(&demo, &text(&codes, "verification_uri")?, &text(&codes, "user_code")?).await?;
    let tokens = shell_json(&demo, poll, &device)?;
    let refresh_token = text(&tokens, "refresh_token")?;
    let refreshed = shell_json(&demo, refresh, &[("REFRESH_TOKEN", &refresh_token)])?;
    ensure!(refreshed["access_token"].is_string(), "{refreshed}");

    let abandoned = text(&shell_json(&demo, start, &[])?, "device_code")?;
    let device = [("DEVICE_CODE", abandoned.as_str())];
    let gone = shell(&demo, give_up, &device)?;
    ensure!(gone.is_empty(), "{gone}");
    ensure!(shell_json(&demo, poll, &device)?["error"] == "expired_token");
    Ok(())
}

/// The login in the terminal, and the person whom it asks to open the page.
#[tokio::test]
async fn the_login_of_the_quick_start_is_a_device() -> anyhow::Result<()> {
    let demo = Demo::start()?;
    let commands = lines(PAGE, "sh", "device-grant login");
    let here = commands.first().context("no login")?.replace("http://127.0.0.1:8080", demo.fact("base_url")?);
    let mut command = Command::new(binary()?);
    command.args(here.split(' ').skip(1)).env("NO_PROXY", "127.0.0.1");
    let mut login = Process::start("login", &command);
    let patience = Duration::from_secs(30);
    let mut after = |words: &str| -> anyhow::Result<String> {
        let line = login.wait_for_line(patience, |line| line.contains(words)).map_err(anyhow::Error::msg)?;
        line.split(words).nth(1).map(|rest| rest.trim().to_owned()).context("nothing behind it")
    };
    let (address, user_code) = (after("or open")?, after("and enter")?);
    let mut person = Person::new(demo.fact("username")?, demo.fact("password")?)?;
    let outcome = person.approve(&address, &user_code).await?;
    ensure!(outcome == "approved", "{outcome}");
    login.wait_for_line(patience, |line| line.contains("Connected.")).map_err(anyhow::Error::msg)?;
    Ok(())
}

/// With a pool of this machine in the place of Keycloak, `doctor` finds nothing to mend, and `serve` serves.
#[tokio::test]
async fn the_configuration_of_the_quick_start_serves() -> anyhow::Result<()> {
    let [keycloak, _] = blocks(PAGE, "toml")[..] else { anyhow::bail!("the page has two configurations") };
    serves("quick-start", keycloak).await
}

/// What the page adds for replicas: keys that `init` makes, and a table, which is not here.
#[test]
fn the_configuration_of_the_quick_start_for_replicas_is_good() -> anyhow::Result<()> {
    let [keycloak, replicas] = blocks(PAGE, "toml")[..] else { anyhow::bail!("two configurations") };
    let directory = std::env::temp_dir().join(format!("quick-start-replicas-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let secret = keycloak.lines().find(|line| line.starts_with("client_secret_file")).context("no secret")?;
    let text = keycloak.replace(secret, "client_secret = \"pool-secret\"") + "\n" + replicas;
    std::fs::write(directory.join("device-grant.toml"), text)?;
    let said = |line: &str| -> anyhow::Result<String> {
        let mut command = Command::new(binary()?);
        command.args(line.split(' ').skip(1)).current_dir(&directory);
        let nobody =
            [("DEVICE_GRANT__STORE__ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_REGION", "eu-west-1")];
        let output = command.envs(nobody).env("AWS_EC2_METADATA_DISABLED", "true").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let [keys] = lines(PAGE, "sh", "device-grant init --keyring")[..] else { anyhow::bail!("one keyring") };
    said(keys)?;
    let told = said("device-grant doctor --config device-grant.toml")?;
    std::fs::remove_dir_all(&directory)?;
    for good in ["ok      configuration: 1 device clients", "ok      keys: "] {
        ensure!(told.contains(good), "{told}");
    }
    ensure!(told.contains("BROKEN  store: ") && told.contains("DeviceGrant"), "{told}");
    Ok(())
}
