//! Secrets that AWS Secrets Manager keeps.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use secrecy::{ExposeSecret as _, SecretString};

use crate::problem::{AwsProblem, Blame};

const READ: &str = "secretsmanager:GetSecretValue";
const DESCRIBE: &str = "secretsmanager:DescribeSecret";
const PUT: &str = "secretsmanager:PutSecretValue";
const MOVE: &str = "secretsmanager:UpdateSecretVersionStage";
/// The label of the version that is in use.
const CURRENT: &str = "AWSCURRENT";
/// The label of the version that a rotation makes.
const PENDING: &str = "AWSPENDING";

/// A secret, as far as a rotation has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSecret {
    /// Its ARN.
    pub arn: String,
    /// The version that is in use; empty if none is.
    pub current: String,
}

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
        self.value(id, CURRENT, None).await
    }

    /// The value that the rotation `version` has made, or whichever was the last; `None` before it has made one.
    pub async fn read_pending(
        &self,
        id: &str,
        version: Option<&str>,
    ) -> Result<Option<SecretString>, AwsProblem> {
        match self.value(id, PENDING, version).await {
            Err(problem) if problem.blame == Blame::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Puts `value` beside the current one, as the version that the rotation `version` makes.
    pub async fn put_pending(&self, id: &str, version: &str, value: &SecretString) -> Result<(), AwsProblem> {
        let put = self.0.put_secret_value().secret_id(id).client_request_token(version);
        let put = put.version_stages(PENDING).secret_string(value.expose_secret()).send().await;
        put.map(|_| ()).map_err(|error| AwsProblem::of(PUT, resource(id), &error))
    }

    /// Which secret that is, and which of its versions is in use.
    pub async fn find(&self, id: &str) -> Result<FoundSecret, AwsProblem> {
        let found = self.0.describe_secret().secret_id(id).send().await;
        let found = found.map_err(|error| AwsProblem::of(DESCRIBE, resource(id), &error))?;
        let versions = found.version_ids_to_stages.unwrap_or_default();
        let is_current = |stages: &[String]| stages.iter().any(|stage| stage == CURRENT);
        let current = versions.into_iter().find(|(_, stages)| is_current(stages));
        Ok(FoundSecret {
            arn: found.arn.unwrap_or_default(),
            current: current.map(|(version, _)| version).unwrap_or_default(),
        })
    }

    /// What the rotation `version` has made is in use from now on, instead of the version `before`.
    pub async fn promote(&self, id: &str, version: &str, before: &str) -> Result<(), AwsProblem> {
        let moved = self.0.update_secret_version_stage().secret_id(id).version_stage(CURRENT);
        let moved = moved.move_to_version_id(version).remove_from_version_id(before).send().await;
        moved.map(|_| ()).map_err(|error| AwsProblem::of(MOVE, resource(id), &error))
    }

    async fn value(&self, id: &str, stage: &str, version: Option<&str>) -> Result<SecretString, AwsProblem> {
        let call = self.0.get_secret_value().secret_id(id).version_stage(stage);
        let found = call.set_version_id(version.map(str::to_owned)).send().await;
        let found = found.map_err(|error| AwsProblem::of(READ, resource(id), &error))?;
        let text = found.secret_string.map(SecretString::from);
        text.ok_or_else(|| AwsProblem::unusable(READ, resource(id), "it holds bytes and no text"))
    }
}

fn resource(id: &str) -> String {
    format!("the secret {id}")
}
