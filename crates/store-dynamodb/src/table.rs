//! The three calls that the store makes.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use device_grant_aws::AwsProblem;
use device_grant_domain::store::Unavailable;

use crate::items::{Attributes, Item, text};

/// A table and the client that reaches it.
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// A conditional change of one item. In the expressions `#name` is the attribute of that name, since half of our
/// names are reserved words there, and `:name` the value of that name.
pub(crate) struct Change<'a> {
    pub(crate) expression: &'a str,
    pub(crate) condition: &'a str,
    pub(crate) values: Vec<(&'static str, AttributeValue)>,
    /// Whether doing it twice does no harm beyond what its own condition sees.
    pub(crate) repeatable: bool,
}

/// What became of a conditional write.
#[derive(Debug)]
pub(crate) enum Written {
    /// It stands there.
    Done,
    /// The condition did not hold: this item stands there, if any.
    Refused(Option<Item>),
}

impl Table {
    /// What a failed call comes to, throttling among it.
    pub(crate) fn fault<E, R>(&self, action: &'static str, error: &SdkError<E, R>) -> Unavailable
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug + 'static,
    {
        Unavailable(AwsProblem::of(action, format!("the table {}", self.place()), error).into())
    }

    /// Its name and where it is.
    pub(crate) fn place(&self) -> String {
        match self.client.config().region() {
            Some(region) => format!("{} in {region}", self.name),
            None => self.name.clone(),
        }
    }

    pub(crate) async fn get(&self, key: &str, strong: bool) -> Result<Option<Item>, Unavailable> {
        let get = self.client.get_item().table_name(&self.name).key("pk", text(key)).consistent_read(strong);
        Ok(get.send().await.map_err(|error| self.fault("dynamodb:GetItem", &error))?.item)
    }

    /// Puts `item` if what stands in its place allows it.
    pub(crate) async fn put(
        &self,
        item: Item,
        condition: &str,
        values: Vec<(&'static str, AttributeValue)>,
    ) -> Result<Written, Unavailable> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(names(&[condition]))
            .set_expression_attribute_values(by_name(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Written::Done) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Written::Refused(failed.item.clone()))
            }
            _ => Err(self.fault("dynamodb:PutItem", &error)),
        }
    }

    /// Changes the item `key` if it allows it.
    pub(crate) async fn update(&self, key: &str, change: Change<'_>) -> Result<Written, Unavailable> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text(key))
            .update_expression(change.expression)
            .condition_expression(change.condition)
            .set_expression_attribute_names(names(&[change.expression, change.condition]))
            .set_expression_attribute_values(by_name(change.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let outcome = if change.repeatable {
            update.send().await
        } else {
            let once = Config::builder().retry_config(RetryConfig::disabled());
            update.customize().config_override(once).send().await
        };
        let Err(error) = outcome else { return Ok(Written::Done) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Written::Refused(failed.item.clone()))
            }
            _ => Err(self.fault("dynamodb:UpdateItem", &error)),
        }
    }
}

impl Table {
    /// Adds to the attribute `count` of the item `key`, whatever stands there, and says what it holds then.
    pub(crate) async fn add(
        &self,
        key: &str,
        expression: &str,
        values: Vec<(&'static str, AttributeValue)>,
    ) -> Result<u64, Unavailable> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text(key))
            .update_expression(expression)
            .set_expression_attribute_names(names(&[expression]))
            .set_expression_attribute_values(by_name(values))
            .return_values(ReturnValue::UpdatedNew);
        let output = update.send().await.map_err(|error| self.fault("dynamodb:UpdateItem", &error))?;
        let item = output.attributes.unwrap_or_default();
        Ok(Attributes { table: &self.name, key, item: &item }.number("count")?)
    }
}

impl Written {
    /// Whether it was done, by `op`: also by an attempt of the same call whose answer was lost (ST-09).
    pub(crate) fn by(&self, op: &str) -> bool {
        match self {
            Self::Done => true,
            Self::Refused(None) => false,
            Self::Refused(Some(item)) => {
                item.get("op").and_then(|by| by.as_s().ok()).is_some_and(|by| by == op)
            }
        }
    }
}

/// The attributes that the expressions name; `None` without any, since the API refuses an empty map.
fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let mut names = HashMap::new();
    for expression in expressions {
        for after in expression.split('#').skip(1) {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
            names.insert(format!("#{}", &after[..end]), after[..end].to_owned());
        }
    }
    (!names.is_empty()).then_some(names)
}

fn by_name(values: Vec<(&'static str, AttributeValue)>) -> Option<Item> {
    let values: Item = values.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
    (!values.is_empty()).then_some(values)
}
