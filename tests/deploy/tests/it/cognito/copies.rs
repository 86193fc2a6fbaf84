//! Copies of the function, and the requests that a load balancer invokes them with.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use deploy_tests::Template;
use device_grant_testkit::LambdaFunction;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify};

use super::balancer::Values;

/// What AWS has of the function, which is the same for all copies.
pub(super) struct Function {
    serve: Command,
    timeout: Duration,
    /// The attribute `lambda.multi_value_headers.enabled` of its target group.
    pub(super) multi_value: AtomicBool,
}

impl Function {
    /// As the template has it, with `serve` for what its image runs.
    pub(super) fn of_the_template(serve: Command) -> Self {
        let template = Template::get();
        let timeout = template.properties("Function")["Timeout"].as_u64().expect("a number of seconds");
        let attributes = &template.properties("FunctionTargets")["TargetGroupAttributes"];
        let multi_value = attributes.as_array().into_iter().flatten().any(|attribute| {
            attribute["Key"] == "lambda.multi_value_headers.enabled" && attribute["Value"] == "true"
        });
        Self { serve, timeout: Duration::from_secs(timeout), multi_value: multi_value.into() }
    }

    /// Starts a copy.
    pub(super) async fn copy(&self) -> anyhow::Result<LambdaFunction> {
        let started = LambdaFunction::start("function", &self.serve, self.timeout).await;
        started.map_err(|said| anyhow!("the function does not start: {said}"))
    }

    fn values(&self) -> Values {
        if self.multi_value.load(Ordering::SeqCst) { Values::All } else { Values::Last }
    }
}

/// The place of one copy, which takes one request after the other.
pub(super) struct Place {
    function: Arc<Function>,
    copy: Mutex<LambdaFunction>,
    lost: Notify,
}

impl Place {
    /// Starts a copy, and takes requests for it on a port.
    pub(super) async fn open(function: &Arc<Function>, port: u16) -> anyhow::Result<Arc<Self>> {
        let copy = Mutex::new(function.copy().await?);
        let place = Arc::new(Self { function: Arc::clone(function), copy, lost: Notify::new() });
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let router = Router::new().fallback(pass).with_state(Arc::clone(&place));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(place)
    }

    /// Kills the copy if it is at work; the next request finds a fresh one.
    pub(super) fn lose(&self) {
        self.lost.notify_waiters();
    }

    /// What the copy has written so far.
    pub(super) async fn output(&self) -> String {
        self.copy.lock().await.output()
    }

    async fn invoke(&self, event: &str) -> anyhow::Result<serde_json::Value> {
        let mut copy = self.copy.lock().await;
        tokio::select! {
            answer = copy.invoke(event) => answer.map_err(|error| anyhow!("the function has failed: {error}")),
            () = self.lost.notified() => {
                copy.kill();
                *copy = self.function.copy().await?;
                Err(anyhow!("the copy is lost"))
            }
        }
    }
}

async fn pass(
    State(place): State<Arc<Place>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let values = place.function.values();
    let event = values.event(&method, &uri, &headers, &body).to_string();
    // What was invoked goes on though its client goes away.
    let invoked = tokio::spawn(async move { place.invoke(&event).await }).await;
    let answered = invoked.map_err(anyhow::Error::from).flatten().and_then(|answer| values.response(&answer));
    answered.unwrap_or_else(|problem| {
        let mut response = Response::new(Body::from(format!("{problem:#}")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}
