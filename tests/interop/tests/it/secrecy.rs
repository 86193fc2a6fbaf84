//! Every secret of a whole login, searched for in everything that the service writes down.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use device_grant_dev_pool::{DevClient, DevPoolConfig, Endpoint, LoopbackPool};
use device_grant_testkit::parts::{Process, free_port};
use interop::{Person, binary};
use serde_json::Value;

const POOL_SECRET: &str = "marked-pool-secret-5f1c";
const CLIENT_SECRET: &str = "marked-client-secret-8d2a";
const OWN_SECRET: &str = "marked-own-secret-77b0";
const WRONG_SECRET: &str = "marked-wrong-secret-e91d";
const AGENT: &str = "MarkedAgent/9.9 (marked-device)";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// One service with everything logged, and what it must not tell.
struct Watched {
    http: reqwest::Client,
    origin: String,
    /// What each secret is called, and what it is.
    secrets: Vec<(String, String)>,
    /// Bodies of errors.
    errors: Vec<String>,
}

impl Watched {
    fn mark(&mut self, name: &str, value: &str) {
        self.secrets.push((name.to_owned(), value.to_owned()));
    }

    /// POSTs a form as a client with its secret; notes the body if it is an error's.
    async fn post(
        &mut self,
        path: &str,
        client: &str,
        secret: &str,
        form: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        let request =
            self.http.post(format!("{}{path}", self.origin)).basic_auth(client, Some(secret)).form(form);
        let answer = request.header("User-Agent", AGENT).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            self.errors.push(text.clone());
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Logs in as `client`, with a refresh; marks everything on the way.
    async fn log_in(&mut self, client: &str, secret: &str) -> anyhow::Result<()> {
        let codes =
            self.post("/device_authorization", client, secret, &[("scope", "openid profile")]).await?;
        let text = |name: &str| codes[name].as_str().map(str::to_owned).with_context(|| format!("{codes}"));
        let (device_code, user_code) = (text("device_code")?, text("user_code")?);
        self.mark("device_code", &device_code);
        self.mark("user_code", &user_code);
        self.mark("user_code, bare", &user_code.replace('-', ""));
        let poll = [("grant_type", DEVICE_CODE), ("device_code", device_code.as_str())];
        self.post("/token", client, secret, &poll).await?;
        // The sample's way: a code in the query, and what a broken device may put there.
        let query = format!("/token?client_id={client}&device_code={device_code}&grant_type={DEVICE_CODE}");
        self.post(&query, client, WRONG_SECRET, &[]).await?;
        self.post(&format!("/token?client_secret={secret}"), client, secret, &poll).await?;
        let mut alice = Person::new("alice", "alice")?;
        let outcome = alice.approve(&text("verification_uri_complete")?, &user_code).await?;
        ensure!(outcome == "approved", "{outcome}");
        for (name, value) in alice.every_cookie() {
            self.mark(&format!("the cookie {name}"), &value);
        }
        Ok(())
    }

    /// Takes the tokens of the last login, and refreshes.
    async fn collect(&mut self, client: &str, secret: &str) -> anyhow::Result<()> {
        let device_code = self.secrets.iter().rev().find(|(name, _)| name == "device_code");
        let device_code = device_code.context("no login yet")?.1.clone();
        let poll = [("grant_type", DEVICE_CODE), ("device_code", device_code.as_str())];
        let tokens = self.post("/token", client, secret, &poll).await?;
        for name in ["access_token", "refresh_token", "id_token"] {
            let token = tokens[name].as_str().with_context(|| format!("no {name} in {tokens}"))?;
            self.mark(name, token);
        }
        let refresh_token = tokens["refresh_token"].as_str().unwrap_or_default().to_owned();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        let fresh = self.post("/token", client, secret, &form).await?;
        self.mark("a refreshed access_token", fresh["access_token"].as_str().context("no fresh token")?);
        // What goes wrong must not be told either: another's token, a broken one, a garbled code.
        self.post("/token", "other", OWN_SECRET, &form).await?;
        let garbled = format!("{}x", refresh_token.as_str());
        self.post("/token", client, secret, &[("grant_type", "refresh_token"), ("refresh_token", &garbled)])
            .await?;
        self.post("/token", client, WRONG_SECRET, &form).await?;
        self.post("/token", client, secret, &poll).await?;
        self.post("/revoke", client, secret, &[("token", &refresh_token)]).await?;
        Ok(())
    }

    /// Fails where a secret, or the first or the last half of one, stands in `bytes`.
    fn search(&self, place: &str, bytes: &[u8]) -> anyhow::Result<()> {
        for (name, secret) in &self.secrets {
            let half = secret.len() / 2;
            let halves = [&secret[..half], &secret[half..]].into_iter().filter(|half| half.len() >= 12);
            for part in halves.chain([secret.as_str()]) {
                let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
                ensure!(!found, "{name} stands in {place}: {part}");
            }
        }
        Ok(())
    }
}

/// SEC-07, SEC-08, UP-08: at the most talkative level no log line, no error, no metric and nothing in the store shows a code, a token, a
/// verifier, a state, a cookie or a secret, nor who the device is.
#[tokio::test]
async fn no_secret_of_a_login_is_written_down() -> anyhow::Result<()> {
    let directory = std::env::temp_dir().join(format!("secrecy-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let searched = search_everything(&directory).await;
    fs::remove_dir_all(&directory)?;
    searched
}

async fn search_everything(directory: &Path) -> anyhow::Result<()> {
    let (port, metrics) = (free_port(), free_port());
    let origin = format!("http://127.0.0.1:{port}");
    let callback = format!("{origin}/callback");
    let pool = LoopbackPool::spawn(|issuer| DevPoolConfig {
        clients: vec![
            DevClient::confidential("service", POOL_SECRET, callback.clone()),
            DevClient::confidential("own", OWN_SECRET, callback),
        ],
        ..DevPoolConfig::new(issuer)
    })
    .await?;
    fs::write(directory.join("device-grant.toml"), configuration(&origin, (port, metrics), pool.issuer()))?;
    let mut command = Command::new(binary()?);
    command
        .args(["serve", "--config", "device-grant.toml"])
        .current_dir(directory)
        .env("NO_PROXY", "127.0.0.1");
    let mut server = Process::start(&format!("secrecy-{port}"), &command);
    server.wait_for_http(port, "/livez", Duration::from_secs(30)).map_err(anyhow::Error::msg)?;

    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut watched = Watched { http, origin, secrets: Vec::new(), errors: Vec::new() };
    for (name, secret) in [
        ("the pool client's secret", POOL_SECRET),
        ("a client's secret", CLIENT_SECRET),
        ("a secret that is the pool's as well", OWN_SECRET),
        ("a wrong secret", WRONG_SECRET),
        ("the device's name", AGENT),
    ] {
        watched.mark(name, secret);
    }
    for (client, secret) in [("shared", CLIENT_SECRET), ("own", OWN_SECRET)] {
        watched.log_in(client, secret).await?;
        watched.search("the store, while the tokens wait", &store(directory)?)?;
        watched.collect(client, secret).await?;
    }
    mark_what_the_pool_saw(&mut watched, &pool)?;

    let log = server.output();
    ensure!(log.contains("handed_over") && log.contains("wrong_secret"), "the trail is in the log");
    ensure!(watched.errors.len() >= 14, "{:?}", watched.errors);
    watched.search("the log", log.as_bytes())?;
    let scraped =
        watched.http.get(format!("http://127.0.0.1:{metrics}/metrics")).send().await?.text().await?;
    ensure!(scraped.contains(r#"event="hand_over",outcome="handed_over",client="own"} 1"#), "{scraped}");
    watched.search("the metrics", scraped.as_bytes())?;
    watched.search("an error", watched.errors.join("\n").as_bytes())?;
    watched.search("the store, at the end", &store(directory)?)?;
    server.stop();
    Ok(())
}

/// States, nonces, codes, verifiers, refresh tokens and credentials, as they went to the pool.
fn mark_what_the_pool_saw(watched: &mut Watched, pool: &LoopbackPool) -> anyhow::Result<()> {
    for trip in pool.pool().requests().to(Endpoint::Authorize) {
        for name in ["state", "nonce", "code_challenge"] {
            watched.mark(name, trip.query_value(name).context("every trip has one")?);
        }
    }
    let mut refreshed = 0;
    for call in pool.pool().requests().to(Endpoint::Token) {
        for name in ["code", "code_verifier", "refresh_token"] {
            refreshed += usize::from(name == "refresh_token" && call.form_value(name).is_some());
            call.form_value(name).into_iter().for_each(|value| watched.mark(name, value));
        }
        watched.mark("our credentials at the pool", call.header("authorization").context("Basic")?);
    }
    ensure!(refreshed >= 2 && watched.secrets.len() > 40, "{} secrets are known", watched.secrets.len());
    Ok(())
}

/// The store's files, its log included.
fn store(directory: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for file in ["device-grant.db", "device-grant.db-wal"] {
        bytes.extend(fs::read(directory.join(file)).unwrap_or_default());
    }
    ensure!(bytes.len() > 8192, "the store is empty");
    Ok(bytes)
}

fn configuration(origin: &str, (port, metrics): (u16, u16), issuer: &str) -> String {
    format!(
        r#"public_url = "{origin}"
listen = "127.0.0.1:{port}"
[upstream]
issuer = "{issuer}"
client_id = "service"
client_secret = "{POOL_SECRET}"
[codes]
token_set = "ID+ACCESS+REFRESH"
interval_s = 1
[log]
level = "trace"
[metrics]
listen = "127.0.0.1:{metrics}"
[[client]]
id = "shared"
secret = "{CLIENT_SECRET}"
scopes = ["openid", "profile"]
[[client]]
id = "own"
secret = "{OWN_SECRET}"
upstream_client_id = "same"
scopes = ["openid", "profile"]
[[client]]
id = "other"
secret = "{OWN_SECRET}"
"#
    )
}
