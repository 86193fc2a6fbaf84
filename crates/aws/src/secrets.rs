//! Secrets that AWS Secrets Manager keeps.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use secrecy::{ExposeSecret as _, SecretString};

use crate::problem::{AwsProblem, Blame};

const READ: &str = "secretsmanager:GetSecretValue";
const DESCRIBE: &str = "secretsmanager:DescribeSecret";
const PUT: &str = "secretsmanager:PutSecretValue";
const MOVE: &str = "secretsmanager:UpdateSecretVersionStage";

/// The label of a version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The one that is in use.
    Current,
    /// The one that was in use before.
    Previous,
    /// The one that a rotation makes.
    Pending,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
            Self::Pending => "AWSPENDING",
        }
    }
}

/// A secret, as far as a rotation has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSecret {
    /// Its ARN.
    pub arn: String,
    /// The version that is in use, if one is.
    pub current: Option<String>,
    /// The version that a rotation makes, if one is under way, or was broken off.
    pub pending: Option<String>,
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
        self.value(id, Stage::Current, None).await
    }

    /// The value with this label, of this version if one is named; `None` where there is none.
    pub async fn find_value(
        &self,
        id: &str,
        stage: Stage,
        version: Option<&str>,
    ) -> Result<Option<SecretString>, AwsProblem> {
        match self.value(id, stage, version).await {
            Err(problem) if problem.blame == Blame::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Puts `value` beside the current one, as the version that the rotation `version` makes.
    pub async fn put_pending(&self, id: &str, version: &str, value: &SecretString) -> Result<(), AwsProblem> {
        let put = self.0.put_secret_value().secret_id(id).client_request_token(version);
        let put = put.version_stages(Stage::Pending.as_str()).secret_string(value.expose_secret());
        put.send().await.map(|_| ()).map_err(|error| AwsProblem::of(PUT, resource(id), &error))
    }

    /// Which secret that is, and which of its versions is which.
    pub async fn find(&self, id: &str) -> Result<FoundSecret, AwsProblem> {
        let found = self.0.describe_secret().secret_id(id).send().await;
        let found = found.map_err(|error| AwsProblem::of(DESCRIBE, resource(id), &error))?;
        let versions = found.version_ids_to_stages.unwrap_or_default();
        let with = |stage: Stage| {
            let has = |stages: &[String]| stages.iter().any(|found| found == stage.as_str());
            versions.iter().find(|(_, stages)| has(stages)).map(|(version, _)| version.clone())
        };
        Ok(FoundSecret {
            current: with(Stage::Current),
            pending: with(Stage::Pending),
            arn: found.arn.unwrap_or_default(),
        })
    }

    /// What the rotation `version` has made is in use from now on, instead of the version `before`, and the rotation is over.
    pub async fn promote(&self, id: &str, version: &str, before: Option<&str>) -> Result<(), AwsProblem> {
        self.label(id, Stage::Current, Some(version), before).await?;
        // A label that stays would stand in the way of rotations once a third version is in use.
        self.label(id, Stage::Pending, None, Some(version)).await
    }

    async fn label(
        &self,
        id: &str,
        stage: Stage,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), AwsProblem> {
        let call = self.0.update_secret_version_stage().secret_id(id).version_stage(stage.as_str());
        let call = call.set_move_to_version_id(to.map(str::to_owned));
        let moved = call.set_remove_from_version_id(from.map(str::to_owned)).send().await;
        moved.map(|_| ()).map_err(|error| AwsProblem::of(MOVE, resource(id), &error))
    }

    async fn value(&self, id: &str, stage: Stage, version: Option<&str>) -> Result<SecretString, AwsProblem> {
        let call = self.0.get_secret_value().secret_id(id).version_stage(stage.as_str());
        let found = call.set_version_id(version.map(str::to_owned)).send().await;
        let found = found.map_err(|error| AwsProblem::of(READ, resource(id), &error))?;
        let text = found.secret_string.map(SecretString::from);
        text.ok_or_else(|| AwsProblem::unusable(READ, resource(id), "it holds bytes and no text"))
    }
}

fn resource(id: &str) -> String {
    format!("the secret {id}")
}
