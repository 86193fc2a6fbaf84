//! What AWS has for the service beside the table: keys that KMS wraps, secrets, and the app clients of a Cognito pool; and
//! how all of AWS is connected to.
//!
//! Each call says what it needs when it fails: the action, the resource, and who has to mend it.

mod cognito;
mod connect;
mod kms;
mod problem;
mod secrets;

pub use cognito::{AppClient, AppClientSecret, UserPoolClients};
pub use connect::Connection;
pub use kms::{KeyContext, Kms, WrappedKey};
pub use problem::{AwsProblem, Blame};
pub use secrets::{FoundSecret, Secrets, Stage};
