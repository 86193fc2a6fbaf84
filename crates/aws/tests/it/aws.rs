//! A stand-in for AWS that gives one answer, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use aws_config::SdkConfig;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use device_grant_aws::Connection;
use serde_json::Value;
use tokio::net::TcpListener;

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// What it was asked.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) input: Value,
}

pub(crate) struct Aws {
    pub(crate) config: SdkConfig,
    calls: Calls,
}

type Calls = Arc<Mutex<Vec<Call>>>;

impl Aws {
    pub(crate) async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Calls::default();
        let router = Router::new().fallback(respond).with_state((answer, Arc::clone(&calls)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { config: connect(endpoint_url).await, calls }
    }

    /// A port of this machine that nobody listens on.
    pub(crate) async fn nowhere() -> SdkConfig {
        connect("http://127.0.0.1:9".to_owned()).await
    }

    /// The same, for somebody without credentials.
    pub(crate) async fn without_credentials() -> SdkConfig {
        let nobody = SharedCredentialsProvider::new(Nobody);
        Self::nowhere().await.into_builder().credentials_provider(nobody).build()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

async fn respond(
    State((answer, calls)): State<(Answer, Calls)>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    let action = headers["x-amz-target"].to_str().unwrap().to_owned();
    calls.lock().unwrap().push(Call { action, input: serde_json::from_str(&body).unwrap() });
    let status = StatusCode::from_u16(answer.status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], answer.body.to_string())
}

/// As a server connects to it.
async fn connect(endpoint_url: String) -> SdkConfig {
    Connection { endpoint_url: Some(endpoint_url), ..Connection::to_region(Some("eu-west-1".to_owned())) }
        .load()
        .await
}

/// Somebody without credentials.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(provider::Result::Err(CredentialsError::not_loaded(
            "there are none",
        )))
    }
}
