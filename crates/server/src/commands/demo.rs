//! `device-grant demo`: the whole flow on this machine, with nothing to set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use clap::Args;
use device_grant_client::Credentials;
use device_grant_dev_pool::{DevClient, DevPool, DevPoolConfig};
use device_grant_domain::client::{ClientAuth, DeviceClient, Grants, PoolBinding, TokenSet};
use device_grant_domain::codes::CodeFormat;
use device_grant_domain::limits::StartLimits;
use device_grant_domain::pool::PoolClient;
use device_grant_domain::store::Consistency;
use device_grant_domain::{DeviceGrant, Keyring, Ports, Settings, SystemClock, SystemEntropy, bytes};
use device_grant_protocol::{AuthMethod, ClientSecret, Scope};
use device_grant_store_embedded::MemoryStore;
use device_grant_upstream::{OidcPool, OidcPoolConfig};
use device_grant_web::{Health, OnStoreFailure, WebConfig, router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

use crate::listen::{self, Limits};
use crate::signals::stop_requested;
use crate::telemetry::{self, LogFormat};
use crate::television;

const SERVICE_AT_THE_POOL: &str = "device-grant";
const PUBLIC_CLIENT: &str = "demo-tv";
const CONFIDENTIAL_CLIENT: &str = "demo-console";
const USERNAME: &str = "alice";
const LIMITS: Limits =
    Limits { header_timeout: Duration::from_secs(75), max_connections: 1024, drain: Duration::from_secs(5) };

/// Show the whole flow on this machine, with nothing to set up.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Only the servers: no television in the terminal, and one line of JSON on standard output.
    #[arg(long)]
    no_device: bool,
}

/// Where a demo runs, and the secrets that it drew for itself.
struct Stage {
    public_url: Url,
    pool_secret: ClientSecret,
    client_secret: ClientSecret,
}

/// Runs the command.
pub(crate) async fn run(demo: Demo) -> anyhow::Result<()> {
    telemetry::start(LogFormat::Human, if demo.no_device { "info" } else { "error" });
    anyhow::ensure!(
        demo.listen.ip().is_loopback(),
        "the demo is for this machine only: listen on 127.0.0.1 or ::1"
    );
    let listener = TcpListener::bind(demo.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen, port 0 takes any free port",
            demo.listen
        )
    })?;
    let stage = Stage {
        public_url: format!("http://{}", listener.local_addr()?).parse()?,
        pool_secret: draw_secret(),
        client_secret: draw_secret(),
    };
    let (stop, stopped) = watch::channel(false);
    let pool = spawn_pool(&stage, stopped.clone()).await?;
    let service = service(&stage, &pool)?;
    let health = Arc::new(Health::default());
    health.note_store(Ok(()));
    let router = router(service.clone(), health, web_config());
    let server = tokio::spawn(listen::serve(listener, router, LIMITS, until(stopped)));

    let played = if demo.no_device { announce(&stage).await } else { play(&stage).await };
    stop.send_replace(true);
    server.await?;
    service.tasks.close();
    service.tasks.wait().await;
    played
}

/// Prints where everything is, and serves until told to stop.
async fn announce(stage: &Stage) -> anyhow::Result<()> {
    let line = serde_json::json!({
        "base_url": stage.public_url.origin().ascii_serialization(),
        "client_id": CONFIDENTIAL_CLIENT,
        "client_secret": stage.client_secret.expose(),
        "public_client_id": PUBLIC_CLIENT,
        "username": USERNAME,
        "password": USERNAME,
    });
    println!("{line}");
    stop_requested().await;
    Ok(())
}

/// Lets a television in the terminal log in.
async fn play(stage: &Stage) -> anyhow::Result<()> {
    println!("This is a television. Its person is you: username {USERNAME}, password {USERNAME}.");
    let credentials = Credentials { client_id: PUBLIC_CLIENT.parse()?, secret: None };
    let log_in = async {
        let device = television::discover(&stage.public_url, credentials).await?;
        television::log_in(&device, Some(&"openid profile".parse()?), false).await
    };
    tokio::select! {
        played = log_in => played,
        () = stop_requested() => Ok(()),
    }
}

async fn spawn_pool(stage: &Stage, stopped: watch::Receiver<bool>) -> anyhow::Result<String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free for the user pool")?;
    let issuer = format!("http://{}", listener.local_addr()?).parse()?;
    let at = |path: &str| stage.public_url.join(path).map(String::from);
    let mut client =
        DevClient::confidential(SERVICE_AT_THE_POOL, stage.pool_secret.expose(), at("/callback")?);
    client.post_logout_redirect_uris = vec![at("/device")?];
    let config = DevPoolConfig { clients: vec![client], ..DevPoolConfig::new(issuer) };
    let pool = DevPool::new(config, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let issuer = pool.issuer().to_owned();
    tokio::spawn(pool.serve_until(listener, until(stopped)));
    Ok(issuer)
}

fn service(stage: &Stage, issuer: &str) -> anyhow::Result<Arc<DeviceGrant>> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let config = OidcPoolConfig { allow_http: true, ..OidcPoolConfig::new(issuer) };
    let pool = Arc::new(OidcPool::new(config, clock.clone(), entropy.clone())?);
    let fresh = Arc::clone(&pool);
    tokio::spawn(async move { fresh.keep_fresh().await });
    let keyring = Arc::new(Keyring::new(Keyring::fresh_material(&*entropy))?);
    let ports = Ports { store: Arc::new(MemoryStore::default()), pool, clock, entropy };
    let clients = Arc::new(clients(stage)?.into_iter().collect());
    Ok(Arc::new(DeviceGrant::new(ports, keyring, clients, settings(stage)?)))
}

fn settings(stage: &Stage) -> anyhow::Result<Settings> {
    Ok(Settings {
        public_url: stage.public_url.clone(),
        device_code: CodeFormat::device_code("#aA", 64)?,
        user_code: CodeFormat::user_code("#B", 8, true)?,
        lifetime: Duration::from_mins(30),
        interval: 5,
        poll_reads: Consistency::Strong,
        service_client: PoolClient {
            client_id: SERVICE_AT_THE_POOL.to_owned(),
            secret: Some(stage.pool_secret.clone()),
            auth_method: AuthMethod::ClientSecretBasic,
        },
        authorize_params: Vec::new(),
        guess_limit: 20,
        start_limits: StartLimits { per_network: 600, per_client_and_network: 300 },
        min_trip: Duration::from_secs(30),
        exchange_deadline: Duration::from_secs(20),
        store_deadline: Duration::from_secs(3),
        clock_skew: Duration::from_secs(2),
    })
}

fn clients(stage: &Stage) -> anyhow::Result<[DeviceClient; 2]> {
    let scopes: Scope = "openid profile email offline_access".parse()?;
    let television = DeviceClient {
        id: PUBLIC_CLIENT.parse()?,
        name: "Demo television".to_owned(),
        auth: ClientAuth::None,
        pool_client: PoolBinding::Shared,
        default_scope: "openid".parse()?,
        extra_scopes: Scope::default(),
        scopes,
        token_set: TokenSet { id: true, refresh: true },
        lifetime: None,
        grants: Grants { device_code: true, refresh_token: true },
    };
    let console = DeviceClient {
        id: CONFIDENTIAL_CLIENT.parse()?,
        name: "Demo console".to_owned(),
        auth: ClientAuth::secret(&stage.client_secret, true),
        ..television.clone()
    };
    Ok([television, console])
}

fn web_config() -> WebConfig {
    WebConfig {
        service_name: "device-grant demo".to_owned(),
        trusted_proxies: Vec::new(),
        sample_way: true,
        on_store_failure: OnStoreFailure::SlowDown,
    }
}

fn draw_secret() -> ClientSecret {
    ClientSecret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes::<24>(&SystemEntropy)))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the demo.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
