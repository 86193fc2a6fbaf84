//! One secret in Secrets Manager, that of a pool client, and the pool that makes it.

use std::collections::BTreeMap;

use device_grant_dev_pool::DevPool;
use device_grant_testkit::AppClientSecrets;
use serde_json::{Value, json};

pub(crate) const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:dg/pool-AbCdEf";
const CURRENT: &str = "AWSCURRENT";

/// The secret, its versions, and the secrets that the pool takes.
pub(crate) struct Vault {
    pub(crate) app_client: AppClientSecrets,
    pool: DevPool,
    client_id: String,
    versions: BTreeMap<String, String>,
    stages: BTreeMap<String, String>,
}

impl Vault {
    /// Keeps `value`, where the pool knows `secret` of the client.
    pub(crate) fn new(pool: &DevPool, client_id: &str, secret: &str, value: &str) -> Self {
        Self {
            app_client: AppClientSecrets::new(client_id, secret),
            pool: pool.clone(),
            client_id: client_id.to_owned(),
            versions: BTreeMap::from([("first".to_owned(), value.to_owned())]),
            stages: BTreeMap::from([(CURRENT.to_owned(), "first".to_owned())]),
        }
    }

    /// What is in use.
    pub(crate) fn current(&self) -> Value {
        serde_json::from_str(&self.versions[&self.stages[CURRENT]]).unwrap()
    }

    pub(super) fn answer(&mut self, action: &str, input: &Value) -> Option<(u16, Value)> {
        let text = |name: &str| input[name].as_str().map(str::to_owned);
        match action {
            "DescribeSecret" => {
                let stages = self.stages.iter().map(|(stage, version)| (version.clone(), json!([stage])));
                Some((200, json!({ "ARN": ARN, "VersionIdsToStages": stages.collect::<Value>() })))
            }
            "GetSecretValue" => {
                let stage = text("VersionStage").unwrap_or_else(|| CURRENT.to_owned());
                let version = self
                    .stages
                    .get(&stage)
                    .filter(|version| text("VersionId").is_none_or(|asked| asked == **version));
                Some(match version.and_then(|version| self.versions.get(version)) {
                    Some(value) => (200, json!({ "ARN": ARN, "SecretString": value })),
                    None => {
                        (400, json!({ "__type": "ResourceNotFoundException", "message": "no such version" }))
                    }
                })
            }
            "PutSecretValue" => {
                let version = text("ClientRequestToken").unwrap();
                self.versions.insert(version.clone(), text("SecretString").unwrap());
                for stage in input["VersionStages"].as_array().unwrap() {
                    self.stages.insert(stage.as_str().unwrap().to_owned(), version.clone());
                }
                Some((200, json!({})))
            }
            "UpdateSecretVersionStage" => {
                let stage = text("VersionStage").unwrap();
                assert_eq!(text("RemoveFromVersionId"), self.stages.get(&stage).cloned());
                self.stages.insert(stage, text("MoveToVersionId").unwrap());
                Some((200, json!({})))
            }
            _ => {
                let answer = self.app_client.answer(action, input)?;
                self.pool.set_secrets(&self.client_id, &self.app_client.values());
                Some(answer)
            }
        }
    }
}
