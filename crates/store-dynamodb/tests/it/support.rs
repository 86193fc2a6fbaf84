//! Tables of their own in the DynamoDB Local that the tests share.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use device_grant_store_dynamodb::{DynamoDbConfig, DynamoDbStore, migrate};
use device_grant_testkit::parts::DynamoDbLocal;
use device_grant_testkit::store_suite::samples::unique;

/// A table that does not exist yet.
pub(crate) fn new_table() -> DynamoDbConfig {
    DynamoDbConfig {
        endpoint_url: Some(DynamoDbLocal::shared().endpoint_url().to_owned()),
        // Of a machine that does much else beside, in a virtual machine that has just started.
        attempt_timeout: Duration::from_secs(20),
        operation_timeout: Duration::from_mins(1),
        ..DynamoDbConfig::new(unique("table"))
    }
}

/// A store in a new table.
pub(crate) async fn new_store() -> (DynamoDbStore, DynamoDbConfig) {
    let config = new_table();
    migrate(&config).await.unwrap();
    (DynamoDbStore::connect(&config).await, config)
}

/// A client to look behind the store's back with.
pub(crate) fn raw_client() -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(DynamoDbLocal::shared().endpoint_url())
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .region(Region::from_static("us-east-1"));
    Client::from_conf(config.build())
}
