//! The table, past the server.

use anyhow::{Context as _, ensure};
use device_grant_testkit::parts::DynamoDbLocal;
use serde_json::{Value, json};

/// `DynamoDB` Local wants to see a signature, and does not check it.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, \
                         SignedHeaders=host;x-amz-target, Signature=none";

/// Calls the `DynamoDB` API on a table.
pub async fn call(
    http: &reqwest::Client,
    table: &str,
    operation: &str,
    mut input: Value,
) -> anyhow::Result<Value> {
    input["TableName"] = json!(table);
    let request = http
        .post(DynamoDbLocal::shared().endpoint_url())
        .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("Authorization", SIGNATURE)
        .body(input.to_string());
    let response = request.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "{operation}: {status} {text}");
    serde_json::from_str(&text).with_context(|| format!("{operation}: {text}"))
}
