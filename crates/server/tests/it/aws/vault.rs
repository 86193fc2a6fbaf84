//! One secret in Secrets Manager, that of a pool client, and the pool that makes it.

use std::collections::BTreeMap;

use device_grant_dev_pool::DevPool;
use device_grant_testkit::AppClientSecrets;
use serde_json::{Value, json};

pub(crate) const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:dg/pool-AbCdEf";
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

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

    /// Whether Secrets Manager takes a rotation for unfinished, and begins no other.
    pub(crate) fn is_rotating(&self) -> bool {
        self.stages.contains_key(PENDING)
    }

    /// Begins a rotation as Secrets Manager does: its version is there, and holds nothing yet.
    pub(crate) fn begin(&mut self, version: &str) {
        self.stages.insert(PENDING.to_owned(), version.to_owned());
    }

    /// Somebody puts `value` into use.
    pub(crate) fn write(&mut self, version: &str, value: &str) {
        self.versions.insert(version.to_owned(), value.to_owned());
        self.put_into_use(version);
    }

    fn put_into_use(&mut self, version: &str) {
        let before = self.stages.insert(CURRENT.to_owned(), version.to_owned()).unwrap();
        self.stages.insert("AWSPREVIOUS".to_owned(), before);
    }

    pub(super) fn answer(&mut self, action: &str, input: &Value) -> Option<(u16, Value)> {
        let text = |name: &str| input[name].as_str().map(str::to_owned);
        match action {
            "DescribeSecret" => {
                let mut stages: BTreeMap<_, Vec<_>> = BTreeMap::new();
                for (stage, version) in &self.stages {
                    stages.entry(version).or_default().push(stage);
                }
                Some((200, json!({ "ARN": ARN, "VersionIdsToStages": stages })))
            }
            "GetSecretValue" => {
                let stage = text("VersionStage").unwrap();
                let version = self.stages.get(&stage);
                let version =
                    version.filter(|version| text("VersionId").is_none_or(|asked| asked == **version));
                Some(match version.and_then(|version| self.versions.get(version)) {
                    Some(value) => (200, json!({ "ARN": ARN, "SecretString": value })),
                    None => {
                        (400, json!({ "__type": "ResourceNotFoundException", "message": "no such version" }))
                    }
                })
            }
            "PutSecretValue" => {
                let version = text("ClientRequestToken").unwrap();
                assert_eq!(input["VersionStages"], json!([PENDING]));
                self.versions.insert(version.clone(), text("SecretString").unwrap());
                self.begin(&version);
                Some((200, json!({})))
            }
            "UpdateSecretVersionStage" => {
                let stage = text("VersionStage").unwrap();
                assert_eq!(text("RemoveFromVersionId"), self.stages.get(&stage).cloned());
                match text("MoveToVersionId") {
                    Some(version) => self.put_into_use(&version),
                    None => drop(self.stages.remove(&stage)),
                }
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
