//! `golang.org/x/oauth2`, with a public client: the library sends no secret to the device authorization endpoint.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use interop::Demo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::approve;

/// TP-07, CA-03: the library tries Basic without a secret first, and takes the refusal as a hint to name itself in the body.
#[tokio::test]
async fn go_s_oauth2_completes_a_login() -> anyhow::Result<()> {
    let demo = Demo::start()?;
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let program = device_grant_testkit::parts::target().join("interop-go");
    let build =
        Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(module).status().await;
    ensure!(build.context("go does not start: install golang-go")?.success(), "go build failed");

    let mut device = Command::new(program)
        .args([demo.fact("base_url")?, demo.fact("public_client_id")?])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(device.stdout.take().context("no standard output")?).lines();
    let start: Value = serde_json::from_str(&lines.next_line().await?.context("the device did not start")?)?;
    let address = start["verification_uri_complete"].as_str().context("no address")?;
    approve(&demo, address, start["user_code"].as_str().context("no code")?).await?;

    let tokens: Value = serde_json::from_str(&lines.next_line().await?.context("the device got no tokens")?)?;
    ensure!(tokens["valid"] == true && tokens["token_type"] == "Bearer", "{tokens}");
    ensure!(device.wait().await?.success());
    Ok(())
}
