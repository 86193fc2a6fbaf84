//! The migrations that there are, and the number of the last one that was applied.

use aws_sdk_dynamodb::operation::get_item::GetItemError;
use device_grant_domain::store::Unavailable;
use serde::Deserialize;

use crate::items::{Attributes, number, text};
use crate::table::{Change, Table};

/// The item that holds the number.
const KEY: &str = "S#schema";

macro_rules! steps {
    ($($name:literal),* $(,)?) => {
        &[$(Step { name: $name, text: include_str!(concat!("../../../migrations/", $name, ".json")) }),*]
    };
}

/// All steps in order; the first has the number 1.
pub(crate) const STEPS: &[Step] = steps!["0001-create-table", "0002-time-to-live"];

/// A file of `migrations/`.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// What a step does: a call of the DynamoDB API.
#[derive(Debug, Deserialize)]
#[serde(tag = "operation", content = "input")]
pub(crate) enum Operation {
    CreateTable(CreateTable),
    UpdateTimeToLive(UpdateTimeToLive),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateTable {
    pub(crate) attribute_definitions: Vec<AttributeDefinition>,
    pub(crate) key_schema: Vec<KeyElement>,
    pub(crate) billing_mode: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AttributeDefinition {
    pub(crate) attribute_name: String,
    pub(crate) attribute_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct KeyElement {
    pub(crate) attribute_name: String,
    pub(crate) key_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct UpdateTimeToLive {
    pub(crate) time_to_live_specification: TimeToLive,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TimeToLive {
    pub(crate) attribute_name: String,
    pub(crate) enabled: bool,
}

/// The newest migration of this version.
pub(crate) fn newest() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// The migration applied last, 0 for none; `None` without a table.
pub(crate) async fn present(table: &Table) -> Result<Option<u32>, Unavailable> {
    let get = table.client.get_item().table_name(&table.name).key("pk", text(KEY)).consistent_read(true);
    match get.send().await {
        Ok(found) => Ok(Some(match &found.item {
            Some(item) => Attributes { table: &table.name, key: KEY, item }.number("number")?,
            None => 0,
        })),
        Err(error) => match error.as_service_error() {
            Some(GetItemError::ResourceNotFoundException(_)) => Ok(None),
            _ => Err(table.fault("dynamodb:GetItem", &error)),
        },
    }
}

/// Writes down that the step `applied` was applied. Where another `migrate` has got further, that stays.
pub(crate) async fn record(table: &Table, applied: u32) -> Result<(), Unavailable> {
    let change = Change {
        expression: "SET #number = :number",
        condition: "attribute_not_exists(#pk) OR #number < :number",
        values: vec![("number", number(applied))],
        repeatable: true,
    };
    table.update(KEY, change).await?;
    Ok(())
}
