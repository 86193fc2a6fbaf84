//! On AWS: keys that KMS wraps, secrets that are kept there, and what an operator hears on a bad day.

pub(crate) mod rotation;
mod stand_in;
pub(crate) mod vault;

use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool, Person};
use device_grant_domain::records::{RecordKind, RecordStore as _};
use device_grant_store_embedded::EmbeddedStore;
use serde_json::json;
use stand_in::Aws;
use tokio::task::spawn_blocking;

use crate::support::{Directory, NOBODY, Server, configuration, get, stderr, stdout};

const KMS: &str = "[keyring]\nkms = \"alias/device-grant\"\n[clients]\nin_store = true\n";
const TABLE: &str = "[store]\nkind = \"dynamodb\"\n";

/// A directory with the usual configuration, and these lines at its end.
fn directory(lines: &str) -> Directory {
    let directory = Directory::new();
    directory.write("device-grant.toml", &(configuration(NOBODY) + lines));
    directory
}

/// What the command says, whatever becomes of it.
async fn said(aws: &Aws, directory: &Directory, args: &[&str]) -> String {
    let mut command = aws.command(directory, args);
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    stdout(&output) + &stderr(&output)
}

async fn serve(aws: &Aws, directory: &Directory) -> Server {
    let command = aws.command(directory, &["serve"]);
    spawn_blocking(move || Server::start_by(command)).await.unwrap()
}

/// The first server makes the keys; another start opens the same ones; KMS is asked again only when they have changed; they
/// are rotated under a running server.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_kms_wraps_are_made_once_and_rotated() {
    let aws = Aws::start().await;
    let directory = directory(KMS);
    for _ in 0..2 {
        let server = serve(&aws, &directory).await;
        assert_eq!(get(&server.address, "/readyz").0, 200);
        // One that is killed counts among the living for a minute.
        server.terminate();
        assert!(spawn_blocking(move || server.wait()).await.unwrap().success());
    }
    assert_eq!((aws.calls("GenerateDataKeyWithoutPlaintext"), aws.calls("Decrypt")), (2, 6));

    let _server = serve(&aws, &directory).await;
    let added = said(&aws, &directory, &["key", "add", "request"]).await;
    assert!(
        added.contains("Added request key 2 to the store, under the KMS key alias/device-grant."),
        "{added}"
    );
    let early = said(&aws, &directory, &["key", "activate", "request", "2"]).await;
    assert!(early.contains("do not have the key yet"), "{early}");
    let mut listed = String::new();
    for _ in 0..600 {
        listed = said(&aws, &directory, &["key", "list"]).await;
        if listed.contains("request    2  opens            held by 1 of 1") {
            break;
        }
    }
    let activated = said(&aws, &directory, &["key", "activate", "request", "2"]).await;
    assert!(
        activated.contains("request key 2 seals from now on. Every replica reads it"),
        "{activated} {listed}"
    );
    let listed = said(&aws, &directory, &["key", "list"]).await;
    assert!(listed.contains("request    2  seals and opens  active since "), "{listed}");
}

/// A KMS that throttles is waited for at the start, and in life nobody needs it.
#[tokio::test(flavor = "multi_thread")]
async fn a_kms_that_is_away_stops_no_server_that_has_its_keys() {
    let aws = Aws::start().await;
    let directory = directory(KMS);
    aws.refuses("GenerateDataKeyWithoutPlaintext", "ThrottlingException");
    let later = aws.clone();
    let recovers = tokio::spawn(async move {
        while later.calls("GenerateDataKeyWithoutPlaintext") < 5 {
            tokio::task::yield_now().await;
        }
        later.recovers("GenerateDataKeyWithoutPlaintext");
    });
    let server = serve(&aws, &directory).await;
    recovers.await.unwrap();
    aws.refuses("Decrypt", "KMSInternalException");
    let started = spawn_blocking(move || {
        let started = server.get_until("/device_authorization", |status, _| status == 405);
        (get(&server.address, "/readyz").0, started)
    });
    assert_eq!(started.await.unwrap().0, 200);
}

/// Keys that KMS does not open, since they were copied from another table or renamed, stop the start.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_kms_does_not_open_stop_the_start() {
    let aws = Aws::start().await;
    let directory = directory(KMS);
    drop(serve(&aws, &directory).await);
    aws.refuses("Decrypt", "InvalidCiphertextException");
    let refused = said(&aws, &directory, &["serve"]).await;
    assert!(refused.contains("the KMS key alias/device-grant cannot be used (kms:Decrypt)"), "{refused}");
}

/// ST-11: without the record of the keys nothing starts on a store that had one, and everything says what to do; with it put back
/// all is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_gone_from_the_store_stop_the_start() {
    let aws = Aws::start().await;
    let directory = directory(KMS);
    let server = serve(&aws, &directory).await;
    let ready = spawn_blocking(move || (get(&server.address, "/readyz").0, server));
    let (status, server) = ready.await.unwrap();
    assert_eq!(status, 200);
    let added = said(&aws, &directory, &["client", "add", "box"]).await;
    assert!(added.contains("Registered box"), "{added}");
    server.terminate();
    assert!(spawn_blocking(move || server.wait()).await.unwrap().success());

    let store = || EmbeddedStore::visit(directory.path("device-grant.db")).unwrap();
    let keys = store().record(RecordKind::Key, "wrapped").await.unwrap().unwrap();
    assert!(store().remove_record(RecordKind::Key, "wrapped").await.unwrap());
    for args in [["serve"].as_slice(), &["doctor"], &["client", "list"], &["key", "list"]] {
        let refused = said(&aws, &directory, args).await;
        assert!(refused.contains("Put K#wrapped back from a backup"), "{args:?}: {refused}");
    }
    assert_eq!(aws.calls("GenerateDataKeyWithoutPlaintext"), 2, "none are made");
    let put = store().put_record(RecordKind::Key, "wrapped", (&keys.data, 0), None).await;
    assert!(put.unwrap());
    let listed = said(&aws, &directory, &["client", "list"]).await;
    assert!(listed.contains("box") && !listed.contains("NOT USABLE"), "{listed}");
}

/// What is wrong is told with the action, the resource and what to do, by `doctor` and at the start alike; one bad day after
/// the other.
#[tokio::test(flavor = "multi_thread")]
async fn bad_days_are_told_exactly() {
    let secret = "[upstream]\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"a\"\nclient_secret_manager = \"device-grant/pool\"\n";
    let pool = "[upstream]\npreset = \"cognito\"\nclient_id = \"4h57kl\"\n[cognito]\nuser_pool_id = \"eu-west-1_a\"\n[clients]\nfrom_pool = true\n";
    let head = "public_url = \"http://127.0.0.1:8080\"\nlisten = \"127.0.0.1:0\"\n";
    let tv = "[[client]]\nid = \"tv\"\nauth_method = \"none\"\n";
    let keys = "[keyring]\nkms = \"alias/device-grant\"\n";
    let days = [
        (
            format!("{}{keys}", configuration(NOBODY)),
            "GenerateDataKeyWithoutPlaintext",
            "AccessDeniedException",
            "the AWS credentials may not kms:GenerateDataKeyWithoutPlaintext on the KMS key alias/device-grant; allow that in the policy of their role",
        ),
        (
            format!("{}{TABLE}{keys}", configuration(NOBODY)),
            "GetItem",
            "AccessDeniedException",
            "the AWS credentials may not dynamodb:GetItem on the table DeviceGrant in eu-west-1",
        ),
        (
            format!("{}{TABLE}{keys}", configuration(NOBODY)),
            "GetItem",
            "UnrecognizedClientException",
            "there are no AWS credentials that work for dynamodb:GetItem",
        ),
        (
            format!("{}{TABLE}{keys}", configuration(NOBODY)),
            "GetItem",
            "ResourceNotFoundException",
            "the table DeviceGrant in eu-west-1 does not exist; run `device-grant migrate`",
        ),
        (
            format!("{head}{secret}{tv}"),
            "GetSecretValue",
            "AccessDeniedException",
            "the AWS credentials may not secretsmanager:GetSecretValue on the secret device-grant/pool",
        ),
        (
            format!("{head}{secret}{tv}"),
            "GetSecretValue",
            "ResourceNotFoundException",
            "AWS does not find the secret device-grant/pool (secretsmanager:GetSecretValue); is it in another region or account?",
        ),
    ];
    for (configuration, action, code, told) in days {
        let aws = Aws::start().await;
        let directory = Directory::new();
        directory.write("device-grant.toml", &configuration);
        aws.refuses(action, code);
        for command in ["doctor", "serve"] {
            let said = said(&aws, &directory, &[command]).await;
            assert!(said.contains(told), "{command}: {code}: {said}");
        }
    }
    // Of app clients a running server hears when the first is named; `doctor` asks before.
    let aws = Aws::start().await;
    let directory = Directory::new();
    directory.write("device-grant.toml", &format!("{head}{pool}"));
    aws.refuses("DescribeUserPoolClient", "AccessDeniedException");
    let told = said(&aws, &directory, &["doctor"]).await;
    let denied = "may not cognito-idp:DescribeUserPoolClient on the user pool eu-west-1_a";
    assert!(told.contains(denied), "{told}");
}

/// A secret that is no JSON is told of without a word of it; one that the pool refuses is read again, and the next sign-in
/// works with the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_secret_is_read_again_when_the_pool_refuses_it() {
    let aws = Aws::start().await;
    let client = DevClient::confidential("device-grant", "the new secret", "http://127.0.0.1:8080/callback");
    let pool =
        LoopbackPool::spawn(|issuer| DevPoolConfig { clients: vec![client], ..DevPoolConfig::new(issuer) });
    let pool = pool.await.unwrap();
    let directory = Directory::new();
    let text = configuration(pool.issuer()).replace(
        "client_id = \"device-grant\"",
        "client_id = \"device-grant\"\nclient_secret_manager = \"dg/pool\"",
    );
    directory.write("device-grant.toml", &text);

    let keep =
        |value: &str| aws.answers("GetSecretValue", 200, json!({ "Name": "dg/pool", "SecretString": value }));
    keep("hush");
    for command in ["doctor", "serve"] {
        let said = said(&aws, &directory, &[command]).await;
        assert!(said.contains("the secret dg/pool cannot be used") && said.contains("no JSON"), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }

    keep(r#"{"client_secret":"the old secret"}"#);
    let server = serve(&aws, &directory).await;
    let sign_in = async || {
        let address = server.address.clone();
        let start = spawn_blocking(move || page(&address, "/device", "")).await.unwrap();
        let mut alice = Person::new(pool.pool(), "alice", "alice");
        let back = alice.visit(&start.way_to(pool.issuer())).await.unwrap();
        let path = back[url::Position::BeforePath..].to_owned();
        let (address, cookies) = (server.address.clone(), start.cookies());
        spawn_blocking(move || page(&address, &path, &cookies)).await.unwrap().status
    };
    assert_ne!(sign_in().await, 303, "the pool refuses the old secret");
    keep(r#"{"client_secret":"the new secret"}"#);
    let mut last = 0;
    for _ in 0..600 {
        last = sign_in().await;
        if last == 303 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the new secret is not used: {last}");
}

/// What a browser gets.
struct Page {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    /// The link below `issuer` that it has.
    fn way_to(&self, issuer: &str) -> url::Url {
        let body = self.body.replace("&#x2f;", "/").replace("&amp;", "&");
        let at = body.find(issuer).unwrap_or_else(|| panic!("no way to {issuer} in {body}"));
        body[at..].split('"').next().unwrap().parse().unwrap()
    }

    fn cookies(&self) -> String {
        let set = self.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        set.filter_map(|set| set.split(';').next()).collect::<Vec<_>>().join("; ")
    }
}

fn page(address: &str, path: &str, cookies: &str) -> Page {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let cookie = if cookies.is_empty() { String::new() } else { format!("Cookie: {cookies}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{cookie}Connection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Page { status, head: head.to_owned(), body: body.to_owned() }
}
