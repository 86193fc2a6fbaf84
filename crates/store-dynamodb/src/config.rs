//! The client: where it connects, with what, and how long it waits.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use device_grant_aws::Connection;

/// Where the table is.
#[derive(Clone, Debug)]
pub struct DynamoDbConfig {
    /// Its name.
    pub table: String,
    /// Where DynamoDB Local or something compatible listens; absent on AWS.
    pub endpoint_url: Option<String>,
    /// The AWS region; absent where the environment, the profile or the machine knows it.
    pub region: Option<String>,
    /// The longest one attempt may take.
    pub attempt_timeout: Duration,
    /// The longest one call may take, with its retries and with loading credentials.
    pub operation_timeout: Duration,
}

impl DynamoDbConfig {
    /// The table of that name on AWS, in the region that the environment names.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            endpoint_url: None,
            region: None,
            attempt_timeout: Duration::from_secs(1),
            operation_timeout: Duration::from_secs(3),
        }
    }

    /// A client. Reads the environment and the profile, but does not connect yet.
    pub(crate) async fn client(&self) -> Client {
        let Self { endpoint_url, region, attempt_timeout, operation_timeout, .. } = self.clone();
        let connection = Connection { endpoint_url, region, attempt_timeout, operation_timeout };
        Client::new(&connection.load().await)
    }
}
