//! A proxy before DynamoDB Local that notes each call, and spoils some of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use device_grant_store_dynamodb::{DynamoDbConfig, DynamoDbStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How a call is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoil {
    /// It is done, and the connection ends without an answer.
    LoseAnswer,
    /// It is not done: too many calls.
    Throttle,
}

/// A call and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) operation: String,
    pub(crate) input: Value,
    pub(crate) output: Value,
}

/// The proxy; calls for the table arrive through the store of [`Proxy::store`].
pub(crate) struct Proxy {
    state: Arc<Mutex<State>>,
    endpoint_url: String,
}

#[derive(Default)]
struct State {
    exchanges: Vec<Exchange>,
    /// How to spoil the calls of an item whose key begins so, and how many of them.
    spoil: Option<(Spoil, &'static str, usize)>,
    /// Answers that eventually consistent reads go on giving.
    stale: Option<HashMap<String, Vec<u8>>>,
}

impl Proxy {
    /// One before the server of `config`.
    pub(crate) async fn before(config: &DynamoDbConfig) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
        let server = config.endpoint_url.as_deref().unwrap().strip_prefix("http://").unwrap().to_owned();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Self { state, endpoint_url }
    }

    /// A store that goes through the proxy.
    pub(crate) async fn store(&self, config: &DynamoDbConfig) -> DynamoDbStore {
        let config = DynamoDbConfig { endpoint_url: Some(self.endpoint_url.clone()), ..config.clone() };
        DynamoDbStore::connect(&config).await
    }

    /// From now on spoils the next `times` writes of items whose key begins with `prefix`.
    pub(crate) fn spoil(&self, spoil: Spoil, prefix: &'static str, times: usize) {
        self.state.lock().unwrap().spoil = Some((spoil, prefix, times));
    }

    /// From now on each eventually consistent read gives for ever what it gave first.
    pub(crate) fn freeze_eventual_reads(&self) {
        self.state.lock().unwrap().stale = Some(HashMap::new());
    }

    /// The calls since this was asked last.
    pub(crate) fn taken(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.state.lock().unwrap().exchanges)
    }
}

async fn serve(mut client: TcpStream, server: String, state: Arc<Mutex<State>>) {
    let Some((head, body)) = message(&mut client).await else { return };
    let operation = header(&head, "x-amz-target").unwrap().split('.').next_back().unwrap().to_owned();
    let mut input: Value = serde_json::from_slice(&body).unwrap();
    let asked = input.to_string();
    input["ReturnConsumedCapacity"] = json!("TOTAL");
    let spoil = state.lock().unwrap().spoils(&input);
    if spoil == Some(Spoil::Throttle) {
        state.lock().unwrap().exchanges.push(Exchange { operation, input, output: Value::Null });
        let told = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"too much"}"#;
        return respond(&mut client, "HTTP/1.1 400 Bad Request", told.as_bytes()).await;
    }
    let (status, mut output) = forward(&server, &head, &input).await;
    {
        let mut state = state.lock().unwrap();
        let exchange = Exchange { operation, input, output: serde_json::from_slice(&output).unwrap() };
        if let Some(stale) = &mut state.stale
            && exchange.input["ConsistentRead"] == json!(false)
        {
            output = stale.entry(asked).or_insert(output).clone();
        }
        state.exchanges.push(exchange);
    }
    if spoil.is_none() {
        respond(&mut client, &status, &output).await;
    }
}

impl State {
    fn spoils(&mut self, input: &Value) -> Option<Spoil> {
        let key = input.pointer("/Item/pk/S").or_else(|| input.pointer("/Key/pk/S"))?.as_str()?;
        let write = input.get("ConsistentRead").is_none();
        let (spoil, _, times) = self
            .spoil
            .as_mut()
            .filter(|(_, prefix, times)| write && *times > 0 && key.starts_with(prefix))?;
        *times -= 1;
        Some(*spoil)
    }
}

async fn forward(server: &str, head: &str, input: &Value) -> (String, Vec<u8>) {
    let body = input.to_string();
    let mut lines: Vec<_> = head.lines().collect();
    lines.retain(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["content-length", "connection"].contains(&name.as_str())
    });
    let (length, close) = (format!("Content-Length: {}", body.len()), "Connection: close");
    lines.extend([length.as_str(), close]);
    let mut upstream = TcpStream::connect(server).await.unwrap();
    let request = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
    upstream.write_all(request.as_bytes()).await.unwrap();
    let (head, body) = message(&mut upstream).await.unwrap();
    (head.lines().next().unwrap().to_owned(), body)
}

async fn respond(client: &mut TcpStream, status: &str, body: &[u8]) {
    let head = format!(
        "{status}\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A client that has gone away needs no answer.
    drop(client.write_all(&[head.as_bytes(), body].concat()).await);
}

/// The head and the body of one HTTP message; `None` when the connection ends before it.
async fn message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = header(&head, "content-length").expect("a message with a length").parse().unwrap();
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
