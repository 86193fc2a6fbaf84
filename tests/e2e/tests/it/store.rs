//! The table is made and brought up to date by `migrate` alone; `serve` only looks at it.

use std::process::Output;

use anyhow::ensure;
use e2e::{Installation, World};
use serde_json::{Value, json};

const FIRST_MIGRATION: &str = include_str!("../../../../migrations/0001-create-table.json");

#[tokio::test]
async fn a_server_without_a_table_names_the_command_that_makes_it() -> anyhow::Result<()> {
    let installation = World::shared().await?.installation("no-table")?;
    refuses(&installation, "the table no-table in eu-west-1 does not exist").await?;

    let said = succeeded(&installation.migrate()?)?;
    ensure!(
        said.contains("applied 0001-create-table") && said.contains("applied 0002-time-to-live"),
        "{said}"
    );
    let made = everything(&installation).await?;
    let said = succeeded(&installation.migrate()?)?;
    ensure!(said == "The table no-table is at migration 2.\n", "{said}");
    let now = everything(&installation).await?;
    ensure!(now == made, "{now} is no longer {made}");
    serves(&installation).await
}

#[tokio::test]
async fn a_server_with_an_older_table_names_the_command_that_upgrades_it() -> anyhow::Result<()> {
    let installation = World::shared().await?.installation("older-table")?;
    let first: Value = serde_json::from_str(FIRST_MIGRATION)?;
    installation.table("CreateTable", first["input"].clone()).await?;
    let schema = json!({ "pk": { "S": "S#schema" }, "number": { "N": "1" } });
    installation.table("PutItem", json!({ "Item": schema })).await?;
    refuses(&installation, "the store is at migration 1, this version needs 2").await?;

    let said = succeeded(&installation.migrate()?)?;
    ensure!(said == "applied 0002-time-to-live\nThe table older-table is at migration 2.\n", "{said}");
    serves(&installation).await
}

/// `serve` ends, for this reason, and says what to do.
async fn refuses(installation: &Installation, reason: &str) -> anyhow::Result<()> {
    let ended = installation.serve_in_vain().await?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.code().is_some_and(|code| code != 0), "{ended:?}");
    ensure!(said.contains(reason) && said.contains("device-grant migrate"), "{said}");
    Ok(())
}

/// `serve` runs, and a device can start.
async fn serves(installation: &Installation) -> anyhow::Result<()> {
    let server = installation.serve()?;
    let television = installation.television();
    let authorization = television.start("openid").await?;
    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");
    server.stop();
    Ok(())
}

/// The table's description and all that is in it.
async fn everything(installation: &Installation) -> anyhow::Result<Value> {
    let mut all = Vec::new();
    for operation in ["DescribeTable", "DescribeTimeToLive", "Scan"] {
        all.push(installation.table(operation, json!({})).await?);
    }
    Ok(Value::from(all))
}

/// What a command said that has succeeded.
fn succeeded(output: &Output) -> anyhow::Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout.clone())?)
}
