//! The secrets of an app client of a Cognito user pool.

use serde_json::{Value, json};

/// The secrets of one app client, kept as Cognito keeps them by its documents: two at most, each with a name, and told once.
#[derive(Debug)]
pub struct AppClientSecrets {
    client_id: String,
    kept: Vec<(String, String)>,
    made: u64,
}

impl AppClientSecrets {
    /// Those of a client that was made with `secret`.
    pub fn new(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        let mut secrets = Self { client_id: client_id.into(), kept: Vec::new(), made: 0 };
        secrets.keep(secret.into());
        secrets
    }

    /// What the client may prove itself with, oldest first.
    pub fn values(&self) -> Vec<String> {
        self.kept.iter().map(|(_, value)| value.clone()).collect()
    }

    /// What Cognito answers to `action`, if it is about secrets: the status and the body.
    pub fn answer(&mut self, action: &str, input: &Value) -> Option<(u16, Value)> {
        let about_secrets = action.contains("UserPoolClientSecret");
        if about_secrets && input["ClientId"] != self.client_id {
            return Some(refused("ResourceNotFoundException", "User pool client does not exist."));
        }
        match action {
            "ListUserPoolClientSecrets" => {
                let listed: Vec<_> =
                    self.kept.iter().map(|(id, _)| json!({ "ClientSecretId": id })).collect();
                Some((200, json!({ "ClientSecrets": listed })))
            }
            "AddUserPoolClientSecret" if self.kept.len() == 2 => {
                Some(refused("LimitExceededException", "A client has two secrets at most."))
            }
            "AddUserPoolClientSecret" => {
                let value = format!("secret{}of{}", self.made, self.client_id);
                let id = self.keep(value.clone());
                let descriptor = json!({ "ClientSecretId": id, "ClientSecretValue": value });
                Some((200, json!({ "ClientSecretDescriptor": descriptor })))
            }
            "DeleteUserPoolClientSecret" => {
                let before = self.kept.len();
                self.kept.retain(|(id, _)| input["ClientSecretId"] != *id);
                Some(if self.kept.len() < before {
                    (200, json!({}))
                } else {
                    refused("ResourceNotFoundException", "There is no such secret.")
                })
            }
            _ => None,
        }
    }

    fn keep(&mut self, value: String) -> String {
        let id = format!("{}--{}", self.client_id, 1_700_000_000 + self.made);
        self.made += 1;
        self.kept.push((id.clone(), value));
        id
    }
}

fn refused(code: &str, message: &str) -> (u16, Value) {
    (400, json!({ "__type": code, "message": message }))
}
