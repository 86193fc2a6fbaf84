//! `device-grant doctor`: what is wrong, and what to mend.

use std::path::Path;
use std::time::Duration;

use device_grant_domain::client::{ClientKeys, PoolBinding};
use device_grant_domain::pool::{PoolClient, UserPool};
use device_grant_domain::{Clock, SystemClock, Timestamp};
use device_grant_store_embedded::OpenError;
use device_grant_upstream::AlbConfig;

use super::replica::with_own_pool_client;
use crate::config::{self, Config, Environment, KeyringSource, Log, LogFormat, StoreConfig};
use crate::keyring_home::KeyringHome;
use crate::pool_secrets::PoolSecrets;
use crate::telemetry;
use crate::wiring::{self, Store};

const KEYS: &str = "one active key for requests, one for what lasts";
/// A clock that is further off than this makes good ID tokens look bad.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// What a check found.
enum Finding {
    Good(String),
    /// Works, but deserves a look.
    Look(String),
    Broken(String),
}

use Finding::{Broken, Good, Look};

pub(crate) async fn run(file: Option<&Path>, environment: &Environment) -> anyhow::Result<()> {
    let config = config::load(file, environment)?;
    telemetry::start(&Log { format: LogFormat::Human, level: "error".to_owned() });
    let mut findings = vec![("configuration", Good(format!("{} device clients", config.clients.len())))];
    findings.extend(config.warnings.iter().map(|warning| ("configuration", Look(warning.clone()))));
    findings.extend(proxy(&config).map(|finding| ("network", finding)));
    findings.push(("keys", keys(&config).await));
    findings.push(("store", store(&config).await));
    findings.extend(pool(&config).await.into_iter().map(|finding| ("user pool", finding)));
    findings.extend(pool_secrets(&config).await.map(|finding| ("secrets", finding)));
    findings.extend(credentials(&config).await.into_iter().map(|finding| ("user pool", finding)));
    findings.extend(app_clients(&config).await.map(|finding| ("app clients", finding)));
    findings.extend(client_keys(&config).await.into_iter().map(|finding| ("client keys", finding)));
    if let Some(alb) = &config.alb {
        findings.push(("load balancer", balancer(alb).await));
    }
    findings.push(("clock", clock(&config).await));
    for (what, finding) in &findings {
        let (mark, words) = match finding {
            Good(words) => ("ok    ", words),
            Look(words) => ("look  ", words),
            Broken(words) => ("BROKEN", words),
        };
        println!("{mark}  {what}: {words}");
    }
    let broken = findings.iter().filter(|(_, finding)| matches!(finding, Broken(_))).count();
    anyhow::ensure!(broken == 0, "{broken} of {} checks found something to mend", findings.len());
    Ok(())
}

/// Whoever listens for other machines has a proxy on another one, and must name it.
fn proxy(config: &Config) -> Option<Finding> {
    let elsewhere = config.network.listens_here_only() != Some(true);
    let is_loopback = |network: &ipnet::IpNet| network.addr().is_loopback();
    let unnamed = config.web.trusted_proxies.iter().all(is_loopback);
    let needed = config.settings.public_url.scheme() == "https";
    (needed && elsewhere && unnamed).then(|| {
        Look(format!(
            "it listens on {}, and believes proxies on this machine only: requests through any other are refused until \
             network.trusted_proxies names it",
            config.network.listen
        ))
    })
}

async fn keys(config: &Config) -> Finding {
    match (&config.keyring, &config.store) {
        (KeyringSource::BesideStore(path), StoreConfig::Embedded(store))
            if !path.exists() && !store.exists() =>
        {
            Good(format!("{} will be made with the store", path.display()))
        }
        (KeyringSource::Secret { .. } | KeyringSource::Kms { .. }, _) => aws_keys(config).await,
        _ => match wiring::keys(&config.keyring, &config.store) {
            Ok(_) => Good(KEYS.to_owned()),
            Err(error) => Broken(format!("{error:#}")),
        },
    }
}

/// Whether AWS gives the keys, or would make them.
async fn aws_keys(config: &Config) -> Finding {
    let looked = async {
        let store = Store::open_beside(&config.store).await?;
        KeyringHome::of(config, &store).await.look().await
    };
    match looked.await {
        Ok(true) => Good(KEYS.to_owned()),
        Ok(false) => Good("the first server that starts will make them".to_owned()),
        Err(error) => Broken(format!("{error:#}")),
    }
}

async fn store(config: &Config) -> Finding {
    if let StoreConfig::Embedded(path) = &config.store
        && !path.exists()
    {
        return Good(format!("{} will be made at the first start", path.display()));
    }
    let store = match Store::open(&config.store).await {
        Ok(store) => store,
        Err(error) if matches!(error.downcast_ref(), Some(OpenError::InUse { .. })) => {
            return Good("a server that runs has the file open; it was not looked into".to_owned());
        }
        Err(error) => return Broken(format!("{error:#}")),
    };
    match store.port().check().await {
        Ok(()) => Good("it answers, and has the schema of this version".to_owned()),
        Err(problem) => Broken(problem.to_string()),
    }
}

async fn pool(config: &Config) -> Vec<Finding> {
    let pool = match wiring::pool(config.pool.clone()) {
        Ok(pool) => pool,
        Err(error) => return vec![Broken(format!("{error:#}"))],
    };
    if let Err(problem) = pool.refresh_if_due().await {
        return vec![Broken(problem.to_string())];
    }
    let facts = match pool.facts() {
        Ok(facts) => facts,
        Err(problem) => return vec![Broken(problem.to_string())],
    };
    let mut findings =
        vec![Good(format!("{} answers, and offers PKCE S256 or does not say", config.pool.issuer))];
    findings.push(if facts.revokes {
        Good("it can revoke tokens".to_owned())
    } else {
        Look(
            "it has no revocation endpoint: /revoke is not offered, and tokens of a lost race live on"
                .to_owned(),
        )
    });
    if config.pool.account_claim == "sub"
        && let Some(client) = with_own_pool_client(config.clients.iter())
    {
        findings.push(pairwise(client.id.as_str(), facts.pairwise_only));
    }
    findings
}

/// Whether what pool clients prove themselves with can be read where it is kept.
async fn pool_secrets(config: &Config) -> Option<Finding> {
    let clients = config.clients.iter().cloned().collect();
    let mut secrets = PoolSecrets::new(config.region.clone());
    match secrets.read_missing(&config.settings.service_client, &clients).await {
        Ok(0) => None,
        Ok(read) => Some(Good(format!("{read} of pool clients can be read"))),
        Err(problem) => Some(Broken(problem.to_string())),
    }
}

/// Whether the pool takes what pool clients prove themselves with. What is wrong with the pool itself, or with reading a
/// secret, was told before.
async fn credentials(config: &Config) -> Vec<Finding> {
    let Ok(pool) = wiring::pool(config.pool.clone()) else { return Vec::new() };
    if pool.refresh_if_due().await.is_err() {
        return Vec::new();
    }
    let own = config.clients.iter().filter_map(|client| match &client.pool_client {
        PoolBinding::Own(own) => Some(own),
        PoolBinding::Shared => None,
    });
    let is_known = |client: &&PoolClient| client.secret.as_ref().is_none_or(|s| s.present().is_some());
    let mut findings = Vec::new();
    for client in [&config.settings.service_client].into_iter().chain(own).filter(is_known) {
        let id = &client.client_id;
        findings.push(match pool.takes_credentials(client).await {
            Ok(true) => Good(format!("it takes the credentials of {id}")),
            Ok(false) => Broken(format!("it refuses the credentials of {id}: check its id and its secret")),
            Err(problem) => {
                Look(format!("it does not say whether it takes the credentials of {id}: {problem}"))
            }
        });
    }
    findings
}

/// Whether the pool tells of its app clients: of our own, which every pool has.
async fn app_clients(config: &Config) -> Option<Finding> {
    let source = wiring::pool_clients(config).await?;
    let own = &config.settings.service_client.client_id;
    Some(match source.clients.find(own).await {
        Ok(Some(app)) => match source.suits(&app) {
            Ok(()) => Good(format!("they are device clients; {} is ours", app.name)),
            Err(lack) => Broken(format!("people cannot sign in through our app client {own}: {lack}")),
        },
        Ok(None) => Broken(format!("the user pool has no app client {own}, which upstream.client_id names")),
        Err(problem) => Broken(problem.to_string()),
    })
}

/// Whether each `jwks_uri` has keys.
async fn client_keys(config: &Config) -> Vec<Finding> {
    let remote = match wiring::client_keys(&config.clients) {
        Ok(remote) => remote,
        Err(error) => return vec![Broken(format!("{error:#}"))],
    };
    let mut findings = Vec::new();
    for client in &config.clients {
        let Some(uri) = client.auth.jwks_uri() else { continue };
        findings.push(match remote.keys(uri, None).await {
            Ok(_) => Good(format!("{uri} has keys of {}", client.id)),
            Err(problem) => Broken(format!("{} cannot authenticate: {problem}", client.id)),
        });
    }
    findings
}

/// Whether the balancer's keys can be had at all. What it signs with shows only in its headers.
async fn balancer(config: &AlbConfig) -> Finding {
    let balancer = match wiring::balancer(config.clone()) {
        Ok(balancer) => balancer,
        Err(error) => return Broken(format!("{error:#}")),
    };
    let place = &config.key_url;
    match balancer.place_of_keys().await {
        Ok(status @ 500..) => Look(format!("{place} answers {status}: without its keys nobody can sign in")),
        Ok(_) => Good(format!(
            "{place} answers; whether it has the keys of {} shows when the first person signs in",
            config.signer
        )),
        Err(problem) => Broken(format!("nobody can sign in, since {place} has to be reached: {problem}")),
    }
}

/// Discovery tells pairwise subjects for sure only where there are no others (CB-11).
fn pairwise(client: &str, for_sure: bool) -> Finding {
    let mend = "set upstream.account_claim to a claim that is the same for all clients (Entra: oid)";
    if for_sure {
        return Broken(format!(
            "it gives each of its clients another subject for one person, and {client} has a pool client of its own, \
             so that no account will ever match: {mend}"
        ));
    }
    Look(format!(
        "{client} has a pool client of its own, and accounts are compared by `sub`; if the pool gives the two clients \
         pairwise subjects, {mend}"
    ))
}

/// The pool's own clock, by the `Date` of its answer (RFC 9110 section 6.6.1).
async fn clock(config: &Config) -> Finding {
    let url = format!("{}/.well-known/openid-configuration", config.pool.issuer.trim_end_matches('/'));
    let answer = async {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().ok()?;
        let answer = http.get(url).send().await.ok()?;
        let date = answer.headers().get(http::header::DATE)?.to_str().ok()?;
        let date = httpdate::parse_http_date(date).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Timestamp::default() + date)
    };
    let Some(theirs) = answer.await else {
        return Look("the pool's answer does not tell its time".to_owned());
    };
    let ours = SystemClock.now();
    let apart = ours.since(theirs).max(theirs.since(ours));
    if apart > CLOCK_TOLERANCE {
        return Broken(format!("it is {} s away from the pool's: set it by a time service", apart.as_secs()));
    }
    Good("within half a minute of the pool's".to_owned())
}
