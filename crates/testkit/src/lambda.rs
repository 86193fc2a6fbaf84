//! What AWS Lambda is to a copy of a function: a runtime API with events to fetch and a place for answers, and a process
//! that stands still while there is no event.

use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use device_grant_domain::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::parts::Process;

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:device-grant";
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One copy of a function, which answers one event at a time. From its answer to the next event it is stopped.
#[derive(Debug)]
pub struct LambdaFunction {
    process: Process,
    events: mpsc::Sender<String>,
    /// The function asks for an event: with that it has done all that it will do now.
    asked: mpsc::Receiver<()>,
    answers: mpsc::Receiver<Result<Value, Value>>,
}

impl LambdaFunction {
    /// Starts `program` with nothing in its environment but what the command sets and what AWS does, and returns when it
    /// is ready for its first event. Each invocation has the time `timeout`; it is told so, and not held to it.
    ///
    /// # Errors
    /// When it ends before that, with what it has written.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(name: &str, program: &Command, timeout: Duration) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let (events, to_hand_out) = mpsc::channel(1);
        let (asks, asked) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let runtime = Runtime { timeout, events: Mutex::new(to_hand_out), asks, answers: answered };
        tokio::spawn(async move { axum::serve(listener, runtime.router()).await });
        let process = Process::start(name, &as_by_aws(program, &address));
        let mut function = Self { process, events, asked, answers };
        match unless_ended(&mut function.process, function.asked.recv()).await {
            Some(_) => {
                function.process.signal("STOP");
                Ok(function)
            }
            None => Err(function.output()),
        }
    }

    /// What the function answers to `event`.
    ///
    /// # Errors
    /// What it says is wrong, or AWS where it has ended.
    ///
    /// # Panics
    /// When a call before this one was not waited for.
    pub async fn invoke(&mut self, event: &str) -> Result<Value, Value> {
        self.process.signal("CONT");
        self.events.try_send(event.to_owned()).expect("one event at a time");
        let (answers, asked) = (&mut self.answers, &mut self.asked);
        let answered = async {
            let answer = answers.recv().await;
            asked.recv().await;
            answer
        };
        let answer = unless_ended(&mut self.process, answered).await.flatten();
        self.process.signal("STOP");
        answer.unwrap_or_else(|| Err(json!({ "errorType": "Runtime.ExitError" })))
    }

    /// Ends it without a word, as AWS does.
    pub fn kill(&mut self) {
        self.process.signal("KILL");
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

impl Drop for LambdaFunction {
    fn drop(&mut self) {
        // Who stands still cannot end.
        self.process.signal("CONT");
    }
}

/// The command in the environment that AWS makes.
fn as_by_aws(program: &Command, runtime_api: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["-i", "PATH=/usr/local/bin:/usr/bin:/bin", "AWS_LAMBDA_FUNCTION_NAME=device-grant"]);
    command.args(["AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024"]);
    command.arg(format!("AWS_LAMBDA_RUNTIME_API={runtime_api}"));
    for (name, value) in program.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.arg([name, value].join("=".as_ref()));
    }
    command.arg(program.get_program()).args(program.get_args());
    if let Some(directory) = program.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

/// What `wanted` brings, unless the process ends first.
async fn unless_ended<T>(process: &mut Process, wanted: impl Future<Output = T>) -> Option<T> {
    let mut wanted = pin!(wanted);
    loop {
        match tokio::time::timeout(LOOK_EVERY, &mut wanted).await {
            Ok(brought) => return Some(brought),
            Err(_) if process.ended().is_some() => return None,
            Err(_) => {}
        }
    }
}

struct Runtime {
    timeout: Duration,
    events: Mutex<mpsc::Receiver<String>>,
    asks: mpsc::Sender<()>,
    answers: mpsc::Sender<Result<Value, Value>>,
}

impl Runtime {
    fn router(self) -> Router {
        Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(Arc::new(self))
    }

    /// Where nobody wants the answer any more the function has been dropped.
    async fn note(&self, answer: Result<Value, Value>) -> StatusCode {
        let wanted = self.answers.send(answer).await;
        if wanted.is_ok() { StatusCode::ACCEPTED } else { StatusCode::GONE }
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Result<(HeaderMap, String), StatusCode> {
    runtime.asks.send(()).await.map_err(|_| StatusCode::GONE)?;
    let event = runtime.events.lock().await.recv().await.ok_or(StatusCode::GONE)?;
    let deadline = (SystemClock.now() + runtime.timeout).as_millis();
    let mut headers = HeaderMap::new();
    headers.insert("lambda-runtime-aws-request-id", HeaderValue::from_static("1"));
    headers.insert("lambda-runtime-deadline-ms", HeaderValue::from(deadline));
    headers.insert("lambda-runtime-invoked-function-arn", HeaderValue::from_static(ARN));
    Ok((headers, event))
}

async fn response(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    runtime.note(Ok(read(&body))).await
}

async fn error(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    runtime.note(Err(read(&body))).await
}

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|problem| json!({ "errorMessage": problem.to_string() }))
}
