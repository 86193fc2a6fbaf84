//! Secrets that AWS Secrets Manager keeps.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;

use crate::problem::AwsProblem;

const READ: &str = "secretsmanager:GetSecretValue";

/// AWS Secrets Manager.
#[derive(Clone, Debug)]
pub struct Secrets(Client);

impl Secrets {
    /// Where `config` says.
    pub fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// The current value of the secret of this name or ARN.
    pub async fn read(&self, id: &str) -> Result<SecretString, AwsProblem> {
        let resource = || format!("the secret {id}");
        let found = self.0.get_secret_value().secret_id(id).send().await;
        let found = found.map_err(|error| AwsProblem::of(READ, resource(), &error))?;
        let text = found.secret_string.map(SecretString::from);
        text.ok_or_else(|| AwsProblem::unusable(READ, resource(), "it holds bytes and no text"))
    }
}
