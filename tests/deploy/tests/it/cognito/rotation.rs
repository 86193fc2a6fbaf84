//! The rotation of the pool client's secret under a service at work: the function of the template, from the image, on what moto
//! made of the template. moto knows no secrets of app clients, so those are a stand-in's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use deploy_tests::{Compute, scratch};
use device_grant_dev_pool::DevPool;
use device_grant_testkit::parts::Process;
use device_grant_testkit::{AppClientSecrets, LambdaFunction};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Deployment;
use crate::image::Image;

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
/// A server that was refused looks for another secret every five seconds.
const TRIES: usize = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// Cognito's calls about the secrets of one app client; the pool takes what it keeps.
#[derive(Clone)]
struct Secrets {
    kept: Arc<Mutex<AppClientSecrets>>,
    client_id: String,
    pool: DevPool,
}

impl Secrets {
    async fn serve(self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }
}

async fn answer(
    State(secrets): State<Secrets>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    let action = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let action = action.rsplit('.').next().unwrap_or_default();
    let input: Value = serde_json::from_str(&body).unwrap_or_default();
    let mut kept = secrets.kept.lock().expect("nobody panics with it");
    let unknown = || (400, json!({ "__type": "UnknownOperationException" }));
    let (status, body) = kept.answer(action, &input).unwrap_or_else(unknown);
    secrets.pool.set_secrets(&secrets.client_id, &kept.values());
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string())
}

impl Deployment {
    /// The function that rotates, with the template's variables for it.
    async fn rotation(&self, cognito: &str) -> anyhow::Result<LambdaFunction> {
        let mut environment: BTreeMap<_, _> = self.stack.rotation().clone();
        // Where a stand-in for the pool is, as the service is told.
        for name in ["CUP_DOMAIN", "DEVICE_GRANT__UPSTREAM__PRESET", "DEVICE_GRANT__UPSTREAM__ISSUER"] {
            environment.insert(name.to_owned(), self.environment[name].clone());
        }
        let mut rotate = Image::shared().command(&scratch("rotation-data")?, &["rotate-pool-secret"], &[]);
        rotate.envs(environment).envs(self.aws());
        rotate.env("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", cognito);
        let started = LambdaFunction::start("rotation", &rotate, Duration::from_secs(30)).await;
        started.map_err(anyhow::Error::msg)
    }

    /// Somebody logs a television in, and tries again where the pool has refused the service.
    async fn logs_in(&self) -> anyhow::Result<()> {
        let television = self.television();
        for _ in 0..TRIES {
            let codes = television.start("openid").await?;
            let approved = self.alice().approve(&codes.verification_uri, &codes.user_code).await;
            if approved.is_ok_and(|outcome| outcome == "approved") {
                let tokens = television.wait(&codes).await?;
                ensure!(tokens.status == 200, "{tokens:?}");
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("nobody can sign in any more")
    }
}

/// Two rotations, the second of which ends the secret that the service began with: it reads the new one by itself. No log tells
/// a secret.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_outlives_the_rotation_of_its_secret() -> anyhow::Result<()> {
    let mut deployment = Deployment::prepare("rotation", Compute::Fargate).await?;
    for (name, value) in
        [("DEVICE_GRANT__NETWORK__TRUSTED_PROXIES", "127.0.0.0/8"), ("POLLING_INTERVAL", "1")]
    {
        deployment.environment.insert(name.to_owned(), value.to_owned());
    }
    let tasks = deployment.start()?;
    deployment.logs_in().await?;

    let client = &deployment.stack.clients()["SignInClient"];
    let text = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
    let (client_id, first) = (text("ClientId"), text("ClientSecret"));
    let kept = Arc::new(Mutex::new(AppClientSecrets::new(&client_id, &first)));
    let secrets = Secrets { kept: Arc::clone(&kept), client_id, pool: deployment.pool.pool().clone() };
    let mut function = deployment.rotation(&secrets.serve().await?).await?;
    let arn = deployment.stack.outputs()["SignInClientSecretArn"].clone();
    for version in ["the-first-rotation-of-this-secret", "the-second-rotation-of-this-secret"] {
        for step in STEPS {
            let event = json!({ "Step": step, "SecretId": arn, "ClientRequestToken": version });
            let answered = function.invoke(&event.to_string()).await;
            ensure!(answered.is_ok(), "{step}: {answered:?}: {}", function.output());
        }
    }
    let taken = kept.lock().ok().context("nobody panics with it")?.values();
    ensure!(taken.len() == 2 && !taken.contains(&first), "the first one is good still");
    deployment.logs_in().await?;

    let mut logs: Vec<_> = tasks.iter().map(Process::output).collect();
    logs.push(function.output());
    for secret in taken.iter().chain([&first]) {
        ensure!(!logs.iter().any(|log| log.contains(secret)), "a log tells a secret");
    }
    ensure!(logs.iter().any(|log| log.contains("the secret of a pool client was read")), "{logs:?}");
    Ok(())
}
