//! The store in DynamoDB and what is compatible with it.
//!
//! One table, no index. Each change is one conditional write that carries an operation's id, so that a write whose
//! answer was lost is recognised when it is repeated (ST-09).

mod config;
mod fault;
mod items;
mod migrate;
mod records;
mod schema;
mod store;
mod table;
mod user_codes;

pub use config::DynamoDbConfig;
pub use migrate::{MigrateError, MigrationReport, migrate};
pub use store::DynamoDbStore;
