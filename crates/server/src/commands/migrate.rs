//! `device-grant migrate`.

use std::path::Path;

use crate::config::{self, Environment, StoreConfig};
use crate::telemetry;
use crate::wiring::{self, Store};

pub(crate) async fn run(file: Option<&Path>, environment: &Environment) -> anyhow::Result<()> {
    let (store, log) = config::load_store(file, environment)?;
    telemetry::start(&log);
    match &store {
        // Made here it would have no keys, which the first server makes with it.
        StoreConfig::Embedded(path) if !path.exists() => {
            println!("There is no store {} yet; the first server makes it.", path.display());
        }
        StoreConfig::Embedded(path) => {
            // Opening it is all: the file brings itself up to date.
            Store::open(&store).await?;
            println!("The store {} is up to date.", path.display());
        }
        StoreConfig::DynamoDb(table) => {
            let report = device_grant_store_dynamodb::migrate(&wiring::dynamodb(table)).await?;
            for step in &report.applied {
                println!("applied {step}");
            }
            println!("The table {} is at migration {}.", table.name, report.now_at);
        }
    }
    Ok(())
}
