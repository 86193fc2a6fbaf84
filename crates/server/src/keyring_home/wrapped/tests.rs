use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use device_grant_aws::Connection;
use device_grant_domain::store::Unavailable;
use device_grant_domain::{SystemEntropy, bytes};
use device_grant_store_embedded::MemoryStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

/// A stand-in for KMS: what it wraps is the key itself.
async fn kms() -> Kms {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let connection = Connection {
        endpoint_url: Some(format!("http://{}", listener.local_addr().unwrap())),
        region: Some("eu-west-1".to_owned()),
        attempt_timeout: Duration::from_secs(5),
        operation_timeout: Duration::from_secs(5),
    };
    let answer = async |headers: HeaderMap, body: String| {
        let input: Value = serde_json::from_str(&body).unwrap();
        let key = BASE64_STANDARD.encode(bytes::<32>(&SystemEntropy));
        match headers["x-amz-target"].to_str().unwrap() {
            "TrentService.Decrypt" => {
                json!({ "Plaintext": input["CiphertextBlob"], "KeyId": "k" }).to_string()
            }
            _ => json!({ "CiphertextBlob": key, "KeyId": "k" }).to_string(),
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    Kms::new(&connection.load().await, "alias/device-grant")
}

/// A store, and servers on it.
struct Bench {
    records: Arc<dyn RecordStore>,
    kms: Kms,
}

impl Bench {
    async fn new() -> Self {
        Self { records: Arc::new(MemoryStore::default()), kms: kms().await }
    }

    /// A server, or a command, that has read nothing yet.
    fn cold(&self) -> Wrapped {
        Wrapped::new(Arc::clone(&self.records), self.kms.clone(), "DeviceGrant".to_owned())
    }

    /// A server that has started.
    async fn warm(&self) -> Wrapped {
        let server = self.cold();
        server.read_or_make().await.unwrap().unwrap();
        server
    }

    /// What `device-grant key add` does.
    async fn add(&self, number: u8) {
        let command = self.cold();
        let mut keys = command.read().await.unwrap().unwrap();
        let secret = command.fresh(Purpose::Request, number).await.unwrap();
        keys.push(KeyMaterial {
            number,
            purpose: Purpose::Request,
            active: false,
            activated_at: None,
            secret,
        });
        command.save(&keys).await.unwrap();
    }

    async fn record(&self) -> Record {
        self.records.record(RecordKind::Key, ID).await.unwrap().unwrap()
    }

    async fn remove(&self) {
        assert!(self.records.remove_record(RecordKind::Key, ID).await.unwrap());
    }

    /// What somebody writes who has no keys: `data`, as this version.
    async fn forge(&self, data: &str, version: u64) {
        let _ = self.records.remove_record(RecordKind::Key, ID).await.unwrap();
        for before in 0..version {
            assert!(self.records.put_record(RecordKind::Key, ID, (data, before), None).await.unwrap());
        }
    }
}

fn refusal<T>(outcome: anyhow::Result<T>) -> String {
    format!("{:#}", outcome.err().expect("it is refused"))
}

fn numbers(keys: &[KeyMaterial]) -> Vec<(Purpose, u8)> {
    keys.iter().map(|key| (key.purpose, key.number)).collect()
}

/// ST-11: where servers with keys have run none are made anew without a word: the start is refused, with the record that is gone
/// and with what to do.
#[tokio::test]
async fn keys_that_are_gone_are_not_made_anew() {
    for (kind, id) in keys::traces() {
        let bench = Bench::new().await;
        assert!(bench.records.put_record(kind, &id, ("{}", 0), None).await.unwrap());
        for told in [
            refusal(bench.cold().read_or_make().await),
            refusal(bench.cold().is_there().await),
            refusal(bench.cold().read().await),
        ] {
            assert!(told.contains("Put K#wrapped back") && told.contains(&kind.key(&id)), "{told}");
            assert!(told.contains("delete K#active/request, K#active/durable, I#clients"), "{told}");
        }
        assert_eq!(bench.records.record(RecordKind::Key, ID).await.unwrap(), None);
        assert!(bench.records.remove_record(kind, &id).await.unwrap());
        bench.warm().await;
    }
}

/// A store whose keys are made by another server between two looks.
struct JustMade {
    inner: Arc<dyn RecordStore>,
    looked: AtomicBool,
}

#[async_trait]
impl RecordStore for JustMade {
    async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Unavailable> {
        if id == ID && !self.looked.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        self.inner.record(kind, id).await
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<(String, Record)>, Unavailable> {
        self.inner.records(kind).await
    }

    async fn put_record(
        &self,
        kind: RecordKind,
        id: &str,
        what: (&str, u64),
        forget_at: Option<Timestamp>,
    ) -> Result<bool, Unavailable> {
        self.inner.put_record(kind, id, what, forget_at).await
    }

    async fn remove_record(&self, kind: RecordKind, id: &str) -> Result<bool, Unavailable> {
        self.inner.remove_record(kind, id).await
    }
}

/// Servers that start at once have one keyring, also where one of them has told of its keys before the other has looked.
#[tokio::test]
async fn servers_that_start_at_once_have_the_same_keys() {
    let bench = Bench::new().await;
    let (one, two) = (bench.cold(), bench.cold());
    let (one, two) = tokio::join!(one.read_or_make(), two.read_or_make());
    let (one, two) = (one.unwrap().unwrap(), two.unwrap().unwrap());
    assert!(one.iter().zip(&two).all(|(one, two)| one.secret == two.secret));

    let told = bench.records.put_record(RecordKind::Key, "active/request", ("{}", 0), None).await;
    assert!(told.unwrap());
    let records = JustMade { inner: Arc::clone(&bench.records), looked: AtomicBool::new(false) };
    let late = Wrapped::new(Arc::new(records), bench.kms.clone(), "DeviceGrant".to_owned());
    let three = late.read_or_make().await.unwrap().unwrap();
    assert!(one.iter().zip(&three).all(|(one, three)| one.secret == three.secret));
}

/// ST-11, SEC-08: a server that has its keys takes none that were there before: not the record as it was, not as it was under a
/// later number, not fresh ones in its place, and not what somebody put together who has no keys.
#[tokio::test]
async fn a_server_takes_no_earlier_keys() {
    let bench = Bench::new().await;
    let server = bench.warm().await;
    let first = bench.record().await;
    bench.add(2).await;
    let second = bench.record().await;
    let read = server.read().await.unwrap().unwrap();
    assert_eq!(numbers(&read), [(Purpose::Request, 1), (Purpose::Durable, 1), (Purpose::Request, 2)]);
    assert!(server.read().await.unwrap().is_none(), "nothing is new");

    bench.forge(&first.data, 1).await;
    let told = refusal(server.read().await);
    assert!(told.contains("it has the version 1, and version 2 was read before"), "{told}");
    bench.forge(&first.data, 2).await;
    assert!(refusal(server.read().await).contains("or replaced"));
    bench.forge(&first.data, 3).await;
    assert!(refusal(server.read().await).contains("an earlier one under a later number"));
    assert!(refusal(bench.cold().read().await).contains("an earlier one under a later number"));
    let mut spliced: Value = serde_json::from_str(&second.data).unwrap();
    spliced["keys"][2]["active"] = json!(true);
    spliced["keys"][0]["active"] = json!(false);
    bench.forge(&spliced.to_string(), 3).await;
    assert!(refusal(server.read().await).contains("was altered in the store"));
    bench.remove().await;
    assert!(refusal(server.read().await).contains("K#wrapped is gone"));
    bench.warm().await;
    assert!(
        refusal(server.read().await).contains("was put back"),
        "fresh keys, by a server on an emptied store"
    );

    bench.forge(&second.data, 2).await;
    assert!(server.read().await.unwrap().is_none(), "the last one is put back");
    bench.add(3).await;
    assert_eq!(server.read().await.unwrap().unwrap().len(), 4);
}

/// Who has saved keys goes on from them.
#[tokio::test]
async fn what_was_saved_is_what_is_known() {
    let bench = Bench::new().await;
    let command = bench.warm().await;
    let mut keys = bench.cold().read().await.unwrap().unwrap();
    for number in [2, 3] {
        let secret = command.fresh(Purpose::Request, number).await.unwrap();
        keys.push(KeyMaterial {
            number,
            purpose: Purpose::Request,
            active: false,
            activated_at: None,
            secret,
        });
        command.save(&keys).await.unwrap();
        assert!(command.read().await.unwrap().is_none());
    }
    assert_eq!(bench.cold().read().await.unwrap().unwrap().len(), 4);
}
