//! Creating the table and bringing it up to date.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, TableDescription, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use device_grant_domain::store::Unavailable;

use crate::DynamoDbConfig;
use crate::schema::{self, CreateTable, Operation, Step, UpdateTimeToLive};
use crate::table::Table;

/// Changing a table takes DynamoDB longer than reading an item.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Two minutes.
const LOOKS: u32 = 480;

/// What [`migrate`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// The migration that stood there before; 0 for none.
    pub found: u32,
    /// The names of the steps applied now, in order.
    pub applied: Vec<&'static str>,
    /// The migration that stands there now.
    pub now_at: u32,
}

/// Why a table was not migrated. Steps before the one that failed stay applied; running it again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A table of this name exists for another purpose.
    #[error("the table {table} is not ours: its key is {found}, and ours is the string `pk` alone")]
    ForeignTable {
        /// Its name.
        table: String,
        /// Its key.
        found: String,
    },
    /// Time to live is on, and on another attribute.
    #[error(
        "the table {table} expires its items by `{found}`; turn that off, an hour later `ttl` can be set"
    )]
    ForeignTimeToLive {
        /// Its name.
        table: String,
        /// The other attribute.
        found: String,
    },
    /// A file of `migrations/` that this version cannot read.
    #[error("migration {name}: {source}")]
    Step {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The table does not get ready.
    #[error("the table {table} is still not active; run `device-grant migrate` again later")]
    NotActive {
        /// Its name.
        table: String,
    },
    /// A call failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Applies in order what the table lacks. Harmless when repeated, or when two run at once.
pub async fn migrate(config: &DynamoDbConfig) -> Result<MigrationReport, MigrateError> {
    let patient = DynamoDbConfig {
        attempt_timeout: config.attempt_timeout.max(PATIENCE / 2),
        operation_timeout: config.operation_timeout.max(PATIENCE),
        ..config.clone()
    };
    let table = Table { client: patient.client().await, name: patient.table };
    // Before anything is read from it or written to it.
    if let Some(description) = described(&table).await? {
        fits(&table, &description)?;
    }
    let found = schema::present(&table).await?.unwrap_or(0);
    let mut applied = Vec::new();
    for (number, step) in (1..).zip(schema::STEPS).filter(|(number, _)| *number > found) {
        if apply(&table, step).await? {
            applied.push(step.name);
        }
        schema::record(&table, number).await?;
        tracing::info!(table = table.name, step = step.name, "the table is at this migration");
    }
    Ok(MigrationReport { found, applied, now_at: found.max(schema::newest()) })
}

/// False if the work was done already.
async fn apply(table: &Table, step: &Step) -> Result<bool, MigrateError> {
    let operation =
        serde_json::from_str(step.text).map_err(|source| MigrateError::Step { name: step.name, source })?;
    match operation {
        Operation::CreateTable(input) => create_table(table, input).await,
        Operation::UpdateTimeToLive(input) => update_time_to_live(table, input).await,
    }
}

async fn create_table(table: &Table, input: CreateTable) -> Result<bool, MigrateError> {
    if let Some(description) = described(table).await? {
        fits(table, &description)?;
        until_active(table).await?;
        return Ok(false);
    }
    let mut create = table
        .client
        .create_table()
        .table_name(&table.name)
        .billing_mode(BillingMode::from(input.billing_mode.as_str()));
    for attribute in input.attribute_definitions {
        let attribute = AttributeDefinition::builder()
            .attribute_name(attribute.attribute_name)
            .attribute_type(attribute.attribute_type.as_str().into());
        create = create.attribute_definitions(attribute.build().map_err(|error| malformed(&error))?);
    }
    for key in input.key_schema {
        let key = KeySchemaElement::builder()
            .attribute_name(key.attribute_name)
            .key_type(key.key_type.as_str().into());
        create = create.key_schema(key.build().map_err(|error| malformed(&error))?);
    }
    let created = match create.send().await {
        Ok(_) => true,
        // Another `migrate` was first.
        Err(error)
            if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) =>
        {
            false
        }
        Err(error) => return Err(table.fault("dynamodb:CreateTable", &error).into()),
    };
    until_active(table).await?;
    Ok(created)
}

async fn update_time_to_live(table: &Table, input: UpdateTimeToLive) -> Result<bool, MigrateError> {
    let wanted = input.time_to_live_specification;
    if expires_by(table, &wanted.attribute_name).await? {
        return Ok(false);
    }
    let specification = TimeToLiveSpecification::builder()
        .attribute_name(&wanted.attribute_name)
        .enabled(wanted.enabled)
        .build()
        .map_err(|error| malformed(&error))?;
    let update = table.client.update_time_to_live().table_name(&table.name);
    match update.time_to_live_specification(specification).send().await {
        Ok(_) => Ok(true),
        // Another `migrate` was first; DynamoDB takes no second call within the hour.
        Err(_) if expires_by(table, &wanted.attribute_name).await? => Ok(false),
        Err(error) => Err(table.fault("dynamodb:UpdateTimeToLive", &error).into()),
    }
}

/// Whether items expire by `attribute`, now or soon.
async fn expires_by(table: &Table, attribute: &str) -> Result<bool, MigrateError> {
    let describe = table.client.describe_time_to_live().table_name(&table.name);
    let described =
        describe.send().await.map_err(|error| table.fault("dynamodb:DescribeTimeToLive", &error))?;
    let Some(present) = described.time_to_live_description else { return Ok(false) };
    match (present.time_to_live_status, present.attribute_name) {
        (Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling), Some(found)) if found != attribute => {
            Err(MigrateError::ForeignTimeToLive { table: table.name.clone(), found })
        }
        (status, _) => Ok(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))),
    }
}

async fn described(table: &Table) -> Result<Option<TableDescription>, Unavailable> {
    match table.client.describe_table().table_name(&table.name).send().await {
        Ok(described) => Ok(described.table),
        Err(error) => match error.as_service_error() {
            Some(DescribeTableError::ResourceNotFoundException(_)) => Ok(None),
            _ => Err(table.fault("dynamodb:DescribeTable", &error)),
        },
    }
}

/// Whether a table that somebody made is one that we can use.
fn fits(table: &Table, description: &TableDescription) -> Result<(), MigrateError> {
    let kinds = description.attribute_definitions();
    let key = description.key_schema().iter().map(|key| {
        let kind = kinds.iter().find(|kind| kind.attribute_name == key.attribute_name);
        let kind = kind.map_or("?", |kind| kind.attribute_type.as_str());
        format!("{} ({kind}, {})", key.attribute_name, key.key_type.as_str())
    });
    let found = key.collect::<Vec<_>>().join(" and ");
    let ours = found == "pk (S, HASH)";
    if ours { Ok(()) } else { Err(MigrateError::ForeignTable { table: table.name.clone(), found }) }
}

async fn until_active(table: &Table) -> Result<(), MigrateError> {
    for _ in 0..LOOKS {
        let status = described(table).await?.and_then(|description| description.table_status);
        if matches!(status, Some(TableStatus::Active | TableStatus::Updating)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(MigrateError::NotActive { table: table.name.clone() })
}

fn malformed(error: &BuildError) -> Unavailable {
    Unavailable(format!("a migration is malformed: {error}").into())
}
