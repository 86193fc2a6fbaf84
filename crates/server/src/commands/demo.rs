//! `device-grant demo`: the service, a user pool and a television on one machine, with nothing to set up.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, ensure};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_client::{Credentials, DeviceClient as Device, Endpoints};
use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool};
use device_grant_domain::{Keyring, SystemEntropy};
use device_grant_store_embedded::MemoryStore;
use serde::Serialize;
use tokio::net::TcpListener;
use url::Url;

use super::replica::Replica;
use super::serve::signalled;
use crate::cli::{Demo, Qr};
use crate::config::{self, Config, Environment, KeyringSource, Log, LogFormat};
use crate::keyring_home::KeyringHome;
use crate::telemetry;
use crate::television::{Screen, log_in};
use crate::wiring::Store;

/// Our own client at the development pool.
const SERVICE: &str = "demo-service";
const CONSOLE: &str = "demo-console";
const TELEVISION: &str = "demo-tv";
const ALLOWED: &str = r#"scopes = ["openid", "profile", "email"], default_scope = ["openid", "profile"], token_set = "ID+ACCESS+REFRESH""#;
/// The development pool's person; the password is the same.
const PERSON: &str = "alice";

/// What a device needs, as `--no-device` prints it.
#[derive(Serialize)]
struct Announcement<'a> {
    base_url: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    public_client_id: &'a str,
    username: &'a str,
    password: &'a str,
}

/// Secrets of this one run.
struct Secrets {
    service: String,
    console: String,
}

pub(crate) async fn run(args: &Demo) -> anyhow::Result<()> {
    ensure!(
        args.listen.ip().is_loopback(),
        "the demo is for this machine only: listen on 127.0.0.1 or [::1]"
    );
    // A television's screen is no place for log lines.
    let level = if args.no_device { "info" } else { "error" };
    telemetry::start(&Log { format: LogFormat::Human, level: level.to_owned() });
    let ended = signalled()?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!("cannot listen on {}; `--listen 127.0.0.1:0` takes any free port", args.listen)
    })?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let secrets = Secrets { service: fresh_secret(), console: fresh_secret() };
    let pool = LoopbackPool::spawn(|issuer| dev_pool(issuer, &base_url, &secrets)).await?;
    let settings = settings(&base_url, pool.issuer(), &secrets);
    let store = Store::Memory(Arc::new(MemoryStore::default()));
    let keys = Keyring::fresh_material(&SystemEntropy).to_vec();
    // Whatever lies beside a store in this directory is not the demo's.
    let config = Config { keyring: KeyringSource::Given(keys.clone()), ..config::load(None, &settings)? };
    let replica = Replica::new(config, store, (KeyringHome::Environment, keys)).await?;

    if args.no_device {
        announce(&base_url, &secrets)?;
        return replica.serve(listener, ended).await;
    }
    println!(
        "A login on this machine, with nothing but this program: device-grant at {base_url}, a development user"
    );
    println!("pool, and this terminal as the television. Sign in as {PERSON} with the password {PERSON}.");
    let device = television(&replica)?;
    let served = replica.serve(listener, ended);
    let shown = async {
        let screen = Screen { qr: Qr::Auto, show_tokens: false };
        if let Err(error) = log_in(&device, None, screen, std::future::pending()).await {
            println!("{error:#}");
        }
        // The person's browser may still want the last page.
        println!("\nThe demo goes on serving; press Ctrl-C to end it.");
        std::future::pending().await
    };
    tokio::select! {
        served = served => served,
        never = shown => never,
    }
}

fn announce(base_url: &str, secrets: &Secrets) -> anyhow::Result<()> {
    let announcement = Announcement {
        base_url,
        client_id: CONSOLE,
        client_secret: &secrets.console,
        public_client_id: TELEVISION,
        username: PERSON,
        password: PERSON,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&announcement)?)?;
    out.flush()?;
    Ok(())
}

fn fresh_secret() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(device_grant_domain::bytes::<32>(&SystemEntropy))
}

/// The device of the demo knows where its server is.
fn television(replica: &Replica) -> anyhow::Result<Device> {
    let settings = &replica.service.settings;
    let endpoints = Endpoints {
        device_authorization: settings.at("/device_authorization"),
        token: settings.at("/token"),
        revocation: Some(settings.at("/revoke")),
    };
    Ok(Device::new(endpoints, Credentials { client_id: TELEVISION.parse()?, secret: None })?)
}

fn dev_pool(issuer: Url, base_url: &str, secrets: &Secrets) -> DevPoolConfig {
    let callback = format!("{base_url}/callback");
    let client = |id: &str, secret: &str| DevClient {
        post_logout_redirect_uris: vec![format!("{base_url}/device")],
        ..DevClient::confidential(id, secret, callback.clone())
    };
    DevPoolConfig {
        clients: vec![client(SERVICE, &secrets.service), client(CONSOLE, &secrets.console)],
        ..DevPoolConfig::new(issuer)
    }
}

/// The settings of a small service, as an operator would write them, so that the demo has the defaults of `serve`.
fn settings(base_url: &str, issuer: &str, secrets: &Secrets) -> Environment {
    // A public client on the shared pool client; one with a secret whose pool client is its own, as in the AWS sample.
    let clients = format!(
        r#"[
            {{ id = "{TELEVISION}", name = "Demo Television", auth_method = "none", {ALLOWED} }},
            {{ id = "{CONSOLE}", name = "Demo Console", secret = "{}", upstream_client_id = "same", {ALLOWED} }},
        ]"#,
        secrets.console
    );
    let settings = [
        ("PUBLIC_URL", base_url),
        ("UPSTREAM__ISSUER", issuer),
        ("UPSTREAM__CLIENT_ID", SERVICE),
        ("UPSTREAM__CLIENT_SECRET", &secrets.service),
        ("WEB__SERVICE_NAME", "Demo"),
        ("NETWORK__DRAIN_DELAY_S", "0"),
        ("NETWORK__DRAIN_TIMEOUT_S", "5"),
        ("CLIENT", &clients),
    ];
    settings.into_iter().map(|(name, value)| (format!("DEVICE_GRANT__{name}"), value.to_owned())).collect()
}
