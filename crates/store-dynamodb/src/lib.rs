//! The store in DynamoDB and what is compatible with it.
