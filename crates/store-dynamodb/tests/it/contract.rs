//! The contract, held by the store in DynamoDB.

use std::error::Error as _;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use device_grant_domain::store::{Consistency, RequestStore as _};
use device_grant_store_embedded::MemoryStore;
use device_grant_testkit::store_suite::samples::{authorized, pending};
use device_grant_testkit::store_suite::{Records, Store, agrees_with_the_oracle};

use crate::support::{new_store, raw_client};

async fn open() -> (Store, ()) {
    (Arc::new(new_store().await.0), ())
}

device_grant_testkit::store_suite!(open);

async fn open_records() -> (Records, ()) {
    (Arc::new(new_store().await.0), ())
}

device_grant_testkit::record_suite!(open_records);

/// ST-01: whatever is done to it, in whatever order, the table says what the oracle says.
#[tokio::test(flavor = "multi_thread")]
async fn a_random_sequence_agrees_with_the_oracle() {
    for seed in 0..4 {
        let (store, ()) = open().await;
        agrees_with_the_oracle(store, Arc::new(MemoryStore::default()), seed, 300).await;
    }
}

/// An item that cannot be read is a fault that names table, key and attribute, and no panic.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_item_is_named() {
    let (store, config) = new_store().await;
    let broken = [
        ("state", AttributeValue::S("lost".to_owned())),
        ("version", AttributeValue::S("1".to_owned())),
        ("interval", AttributeValue::N("-5".to_owned())),
        ("mailbox", AttributeValue::B(vec![0].into())),
        ("client", AttributeValue::S(String::new())),
        ("payload", AttributeValue::Null(true)),
    ];
    for (name, value) in broken {
        let request = authorized(&store).await;
        let key = format!("R#{}", request.id);
        let update = raw_client().update_item().table_name(&config.table);
        let update = update.key("pk", AttributeValue::S(key.clone())).update_expression("SET #n = :v");
        let update = update.expression_attribute_names("#n", name).expression_attribute_values(":v", value);
        update.send().await.unwrap();
        let fault = store.load(&request.id, Consistency::Strong).await.unwrap_err();
        let told = fault.source().unwrap().to_string();
        let expected = format!("table {}, key {key}, attribute {name}", config.table);
        assert!(told.ends_with(&expected), "{told}");
    }
    let whole = pending(&store).await;
    assert_eq!(store.load(&whole.id, Consistency::Strong).await.unwrap(), Some(whole));
}
