//! `device-grant demo`: the service, a user pool and a television on one machine, with nothing to set up.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_client::{Credentials, DeviceClient as Device};
use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool};
use device_grant_domain::client::{ClientAuth, DeviceClient, Grants, PoolBinding, TokenSet};
use device_grant_domain::codes::CodeFormat;
use device_grant_domain::limits::StartLimits;
use device_grant_domain::pool::PoolClient;
use device_grant_domain::store::Consistency;
use device_grant_domain::{Keyring, Settings, SystemEntropy};
use device_grant_protocol::{AuthMethod, ClientSecret};
use device_grant_store_embedded::MemoryStore;
use device_grant_upstream::OidcPoolConfig;
use device_grant_web::{OnStoreFailure, WebConfig};
use serde::Serialize;
use tokio::net::TcpListener;
use url::Url;

use super::replica::Replica;
use super::serve::signalled;
use crate::cli::{Demo, Qr};
use crate::config::{Log, LogFormat, Network};
use crate::telemetry;
use crate::terminal::{Screen, log_in};
use crate::wiring::{self, Store};

const CONSOLE: &str = "demo-console";
const TELEVISION: &str = "demo-tv";
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
    let address = listener.local_addr()?;
    let public_url: Url = format!("http://{address}").parse()?;
    let base_url = public_url.origin().ascii_serialization();
    let secrets = Secrets { service: fresh_secret(), console: fresh_secret() };
    let pool = LoopbackPool::spawn(|issuer| dev_pool(issuer, &base_url, &secrets)).await?;
    let replica = replica(&public_url, pool.issuer(), &secrets, address)?;

    if args.no_device {
        announce(&base_url, &secrets)?;
        return replica.serve(listener, ended).await;
    }
    let endpoints = device_grant_client::Endpoints {
        device_authorization: replica.service.settings.at("/device_authorization"),
        token: replica.service.settings.at("/token"),
    };
    let television = television(endpoints);
    let served = tokio::spawn(replica.serve(listener, ended));
    tokio::select! {
        shown = television => shown?,
        served = served => return served?,
    }
    Ok(())
}
