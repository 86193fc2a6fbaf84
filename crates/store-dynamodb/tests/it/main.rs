//! The store in DynamoDB, on DynamoDB Local (`cargo xtask parts` fetches it).

mod answers;
mod contract;
mod cost;
mod migrations;
mod proxy;
mod support;
