//! A stand-in for KMS, Secrets Manager, Cognito and DynamoDB. It wraps keys as KMS does, and otherwise answers as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use device_grant_domain::{SystemEntropy, bytes};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::vault::Vault;
use crate::support::Directory;

/// What it is, as one test sees it.
#[derive(Clone, Default)]
pub(crate) struct Aws {
    state: Arc<Mutex<Told>>,
    address: String,
}

#[derive(Default)]
struct Told {
    /// By the end of the action's name; before all else.
    answers: BTreeMap<&'static str, (u16, Value)>,
    /// What each action was called with.
    calls: Vec<(String, Value)>,
    /// What keeps the secret of a pool client, and makes it.
    vault: Option<Vault>,
}

impl Aws {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let aws = Self { address: format!("http://{}", listener.local_addr().unwrap()), ..Self::default() };
        let router = Router::new().fallback(answer).with_state(aws.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        aws
    }

    /// From now on the secret of a pool client is kept there.
    pub(crate) fn keeps(&self, vault: Vault) {
        self.state.lock().unwrap().vault = Some(vault);
    }

    /// Looks into what keeps that secret, or changes it.
    pub(crate) fn vault<T>(&self, look: impl FnOnce(&mut Vault) -> T) -> T {
        look(self.state.lock().unwrap().vault.as_mut().unwrap())
    }

    /// From now on `action` is answered so.
    pub(crate) fn answers(&self, action: &'static str, status: u16, body: Value) {
        self.state.lock().unwrap().answers.insert(action, (status, body));
    }

    /// From now on `action` is refused, with AWS's word for why.
    pub(crate) fn refuses(&self, action: &'static str, code: &str) {
        self.answers(action, 400, json!({ "__type": code, "message": "so it is" }));
    }

    /// From now on `action` is answered as it should be.
    pub(crate) fn recovers(&self, action: &'static str) {
        self.state.lock().unwrap().answers.remove(action);
    }

    pub(crate) fn calls(&self, action: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|(called, _)| called.ends_with(action)).count()
    }

    /// What the binary finds in its environment.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.address.clone()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// The binary with that environment.
    pub(crate) fn command(&self, directory: &Directory, args: &[&str]) -> std::process::Command {
        let mut command = directory.command(args);
        command.envs(self.environment());
        command
    }
}

async fn answer(
    State(aws): State<Aws>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    let action = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let input: Value = serde_json::from_str(&body).unwrap();
    let told = {
        let mut state = aws.state.lock().unwrap();
        state.calls.push((action.clone(), input.clone()));
        let told = state.answers.get(action.as_str()).cloned();
        told.or_else(|| state.vault.as_mut()?.answer(&action, &input))
    };
    let (status, body) = told.unwrap_or_else(|| kms(&action, &input));
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string())
}

/// A wrapped key holds what it was bound to, and the key.
fn kms(action: &str, input: &Value) -> (u16, Value) {
    match action {
        "GenerateDataKeyWithoutPlaintext" => {
            let key = BASE64_STANDARD.encode(bytes::<32>(&SystemEntropy));
            let wrapped = json!({ "context": input["EncryptionContext"], "key": key });
            (200, json!({ "CiphertextBlob": BASE64_STANDARD.encode(wrapped.to_string()), "KeyId": "k" }))
        }
        "Decrypt" => {
            let blob = BASE64_STANDARD.decode(input["CiphertextBlob"].as_str().unwrap()).unwrap();
            let wrapped: Value = serde_json::from_slice(&blob).unwrap();
            if wrapped["context"] == input["EncryptionContext"] {
                (200, json!({ "Plaintext": wrapped["key"], "KeyId": "k" }))
            } else {
                (400, json!({ "__type": "InvalidCiphertextException" }))
            }
        }
        _ => (400, json!({ "__type": "UnknownOperationException" })),
    }
}
