//! Creating a table and bringing it up to date.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use device_grant_domain::store::{RequestStore as _, StoreProblem};
use device_grant_store_dynamodb::{DynamoDbConfig, DynamoDbStore, MigrateError, MigrationReport, migrate};
use device_grant_testkit::store_suite::samples::pending;

use crate::support::{new_table, raw_client};

const BOTH: [&str; 2] = ["0001-create-table", "0002-time-to-live"];

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_table_is_created() {
    let config = new_table();
    let store = DynamoDbStore::connect(&config).await;
    let missing = store.check().await.unwrap_err();
    let place = format!("{} in us-east-1", config.table);
    assert!(matches!(&missing, StoreProblem::Missing { table } if *table == place), "{missing:?}");
    assert!(missing.to_string().ends_with("does not exist; run `device-grant migrate`"), "{missing}");

    let report = migrate(&config).await.unwrap();
    assert_eq!(report, MigrationReport { found: 0, applied: BOTH.to_vec(), now_at: 2 });
    store.check().await.unwrap();
    pending(&store).await;
    assert_eq!(time_to_live(&config).await.as_deref(), Some("ttl"));
    let described =
        raw_client().describe_table().table_name(&config.table).send().await.unwrap().table.unwrap();
    let billing = described.billing_mode_summary().unwrap().billing_mode().unwrap();
    assert_eq!(billing, &BillingMode::PayPerRequest);
    assert!(described.global_secondary_indexes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing() {
    let config = new_table();
    migrate(&config).await.unwrap();
    let report = migrate(&config).await.unwrap();
    assert_eq!(report, MigrationReport { found: 2, applied: Vec::new(), now_at: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_migrate_at_once() {
    for _ in 0..3 {
        let config = new_table();
        let (one, other) = tokio::join!(migrate(&config), migrate(&config));
        assert_eq!((one.unwrap().now_at, other.unwrap().now_at), (2, 2));
        DynamoDbStore::connect(&config).await.check().await.unwrap();
        assert_eq!(time_to_live(&config).await.as_deref(), Some("ttl"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_table_is_brought_up_to_date() {
    let config = new_table();
    create_by_hand(&config, &[("pk", KeyType::Hash)]).await;
    set_schema(&config, 1).await;
    let store = DynamoDbStore::connect(&config).await;
    let older = store.check().await.unwrap_err();
    assert!(matches!(older, StoreProblem::Schema { found: 1, needed: 2 }), "{older:?}");

    let report = migrate(&config).await.unwrap();
    assert_eq!(report, MigrationReport { found: 1, applied: vec![BOTH[1]], now_at: 2 });
    store.check().await.unwrap();
    assert_eq!(time_to_live(&config).await.as_deref(), Some("ttl"));
}

/// A table that a newer version has migrated is left as it is, and served while the new version is rolled out.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_table_is_left_alone() {
    let config = new_table();
    create_by_hand(&config, &[("pk", KeyType::Hash)]).await;
    set_schema(&config, 9).await;
    let report = migrate(&config).await.unwrap();
    assert_eq!(report, MigrationReport { found: 9, applied: Vec::new(), now_at: 9 });
    DynamoDbStore::connect(&config).await.check().await.unwrap();
    assert_eq!(time_to_live(&config).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_by_hand_is_adopted_if_it_fits() {
    let config = new_table();
    create_by_hand(&config, &[("pk", KeyType::Hash)]).await;
    let store = DynamoDbStore::connect(&config).await;
    let unmarked = store.check().await.unwrap_err();
    assert!(matches!(unmarked, StoreProblem::Schema { found: 0, needed: 2 }), "{unmarked:?}");
    let report = migrate(&config).await.unwrap();
    assert_eq!(report, MigrationReport { found: 0, applied: vec![BOTH[1]], now_at: 2 });
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_table_is_refused_and_left_alone() {
    let config = new_table();
    create_by_hand(&config, &[("id", KeyType::Hash), ("pk", KeyType::Range)]).await;
    let refused = migrate(&config).await.unwrap_err();
    assert!(matches!(refused, MigrateError::ForeignTable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("its key is id (S, HASH) and pk (S, RANGE)"), "{refused}");

    let config = new_table();
    create_by_hand(&config, &[("pk", KeyType::Hash)]).await;
    let other = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build().unwrap();
    let update =
        raw_client().update_time_to_live().table_name(&config.table).time_to_live_specification(other);
    update.send().await.unwrap();
    let refused = migrate(&config).await.unwrap_err();
    assert!(
        matches!(&refused, MigrateError::ForeignTimeToLive { found, .. } if found == "expires"),
        "{refused:?}"
    );
    assert_eq!(time_to_live(&config).await.as_deref(), Some("expires"));
}

/// A store that cannot be reached is no store without a table.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_is_unavailable() {
    let port = device_grant_testkit::parts::free_port();
    let config = DynamoDbConfig { endpoint_url: Some(format!("http://127.0.0.1:{port}")), ..new_table() };
    let problem = DynamoDbStore::connect(&config).await.check().await.unwrap_err();
    assert!(matches!(problem, StoreProblem::Unavailable(_)), "{problem:?}");
    let refused = migrate(&config).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Unavailable(_)), "{refused:?}");
}

async fn create_by_hand(config: &DynamoDbConfig, keys: &[(&str, KeyType)]) {
    let mut create =
        raw_client().create_table().table_name(&config.table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in keys {
        let attribute =
            AttributeDefinition::builder().attribute_name(*name).attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name(*name).key_type(kind.clone());
        create = create.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap());
    }
    create.send().await.unwrap();
}

async fn set_schema(config: &DynamoDbConfig, number: u32) {
    let put = raw_client().put_item().table_name(&config.table);
    let put = put.item("pk", AttributeValue::S("S#schema".to_owned()));
    put.item("number", AttributeValue::N(number.to_string())).send().await.unwrap();
}

async fn time_to_live(config: &DynamoDbConfig) -> Option<String> {
    let described = raw_client().describe_time_to_live().table_name(&config.table).send().await.unwrap();
    let present = described.time_to_live_description?;
    let on = matches!(present.time_to_live_status?, TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling);
    present.attribute_name.filter(|_| on)
}
