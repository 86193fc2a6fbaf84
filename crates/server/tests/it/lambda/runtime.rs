//! What AWS Lambda is to a function: events to fetch, and a place for answers.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use device_grant_domain::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::support::Directory;

/// The time that each invocation has.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A function that runs, and what invokes it.
pub(super) struct Function {
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<Result<Value, Value>>,
    child: Child,
}

struct Runtime {
    events: Mutex<mpsc::Receiver<String>>,
    answers: mpsc::Sender<Result<Value, Value>>,
}

impl Function {
    /// Runs `serve` in `directory` as AWS Lambda does.
    pub(super) async fn start(directory: &Directory, environment: &[(&str, &str)]) -> Self {
        let (events, to_hand_out) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let runtime = Runtime { events: Mutex::new(to_hand_out), answers: answered };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(Arc::new(runtime));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut command = directory.command(&["serve"]);
        command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "device-grant")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(environment.iter().copied());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        Self { events, answers, child }
    }

    /// The answer to `event`, byte for byte.
    pub(super) async fn invoke_raw(&mut self, event: &str) -> Result<Value, Value> {
        self.events.send(event.to_owned()).await.unwrap();
        self.answers.recv().await.unwrap()
    }

    pub(super) async fn invoke(&mut self, event: &Value) -> Value {
        self.invoke_raw(&event.to_string()).await.unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> (HeaderMap, String) {
    let event = runtime.events.lock().await.recv().await.unwrap();
    let deadline = (SystemClock.now() + TIMEOUT).as_millis().to_string();
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:device-grant";
    let mut headers = HeaderMap::new();
    headers.insert("lambda-runtime-aws-request-id", HeaderValue::from_static("1"));
    headers.insert("lambda-runtime-deadline-ms", HeaderValue::from_str(&deadline).unwrap());
    headers.insert("lambda-runtime-invoked-function-arn", HeaderValue::from_static(arn));
    (headers, event)
}

async fn response(State(runtime): State<Arc<Runtime>>, Path(_): Path<String>, body: String) -> StatusCode {
    runtime.answers.send(Ok(serde_json::from_str(&body).unwrap())).await.unwrap();
    StatusCode::ACCEPTED
}

async fn error(State(runtime): State<Arc<Runtime>>, Path(_): Path<String>, body: String) -> StatusCode {
    runtime.answers.send(Err(serde_json::from_str(&body).unwrap())).await.unwrap();
    StatusCode::ACCEPTED
}
