//! Records as items.

use async_trait::async_trait;
use device_grant_domain::Timestamp;
use device_grant_domain::records::{Record, RecordKind, RecordStore};
use device_grant_domain::store::Unavailable;

use crate::fault::Broken;
use crate::items::{Attributes, Item, number, text, ttl};
use crate::store::DynamoDbStore;

#[async_trait]
impl RecordStore for DynamoDbStore {
    async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Unavailable> {
        let key = kind.key(id);
        let item = self.table.get(&key, true).await?;
        Ok(item.map(|item| decode(&self.table.name, &key, &item)).transpose()?)
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(String, Record)>, Unavailable> {
        let mut records = Vec::new();
        let mut pages = self
            .table
            .client
            .scan()
            .table_name(&self.table.name)
            .consistent_read(true)
            .filter_expression("begins_with(pk, :prefix)")
            .expression_attribute_values(":prefix", text(kind.prefix()))
            .into_paginator()
            .items()
            .send();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| self.table.fault("dynamodb:Scan", &error))?;
            let key = item.get("pk").and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
            let record = decode(&self.table.name, &key, &item)?;
            records.push((kind.id_of(&key).to_owned(), record));
        }
        records.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(records)
    }

    async fn put_record(
        &self,
        kind: RecordKind,
        id: &str,
        (data, replaces): (&str, u64),
        forget_at: Option<Timestamp>,
    ) -> Result<bool, Unavailable> {
        let op = self.op();
        let item = [
            Some(("pk", text(kind.key(id)))),
            Some(("version", number(replaces + 1))),
            Some(("data", text(data))),
            Some(("op", text(&op))),
            forget_at.map(|at| ("ttl", ttl(at))),
        ];
        let item = item.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect();
        let (condition, values) = if replaces == 0 {
            ("attribute_not_exists(#pk)", Vec::new())
        } else {
            ("#version = :replaces", vec![("replaces", number(replaces))])
        };
        Ok(self.table.put(item, condition, values).await?.by(&op))
    }

    async fn remove_record(&self, kind: RecordKind, id: &str) -> Result<bool, Unavailable> {
        let delete = self
            .table
            .client
            .delete_item()
            .table_name(&self.table.name)
            .key("pk", text(kind.key(id)))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld);
        let removed = delete.send().await.map_err(|error| self.table.fault("dynamodb:DeleteItem", &error))?;
        Ok(removed.attributes.is_some())
    }
}

fn decode(table: &str, key: &str, item: &Item) -> Result<Record, Broken> {
    let item = Attributes { table, key, item };
    Ok(Record { version: item.number("version")?, data: item.text("data")?.to_owned() })
}
