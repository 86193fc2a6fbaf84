//! The configuration: a file, the environment over it, and everything that is wrong with them at once.

mod alb;
mod cautions;
mod client_auth;
mod clients;
mod codes;
mod cognito;
mod document;
mod environment;
mod keyring;
mod keys;
mod policies;
mod problem;
mod reference;
mod secrets;
mod service;
mod value;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use device_grant_aws::AppClient;
use device_grant_domain::Settings;
use device_grant_domain::client::DeviceClient;
use device_grant_domain::client::registry::Registration;
use device_grant_protocol::ClientId;
use device_grant_upstream::{AlbConfig, OidcPoolConfig};
use device_grant_web::WebConfig;

pub(crate) use client_auth::read_keys;
pub(crate) use cognito::Cognito;
use document::Document;
pub(crate) use environment::{Environment, is_on_lambda};
pub(crate) use keyring::{KeyringSource, decode as decode_keyring, encode as encode_keyring, region_of};
use problem::Problems;
pub(crate) use problem::WrongConfiguration;
pub(crate) use reference::reference;

/// The file that is read when no other is named, if it is there.
pub(crate) const DEFAULT_FILE: &str = "device-grant.toml";

/// Everything that an operator decides.
pub(crate) struct Config {
    pub(crate) settings: Settings,
    pub(crate) clients: Vec<DeviceClient>,
    /// How clients are read that are kept elsewhere.
    pub(crate) registrations: Registrations,
    /// Whether some are registered in the store.
    pub(crate) in_store: bool,
    /// The AWS region of what is named without one.
    pub(crate) region: Option<String>,
    /// The pool, if it is Cognito's.
    pub(crate) cognito: Option<Cognito>,
    /// Whether its app clients are device clients.
    pub(crate) from_pool: bool,
    pub(crate) pool: OidcPoolConfig,
    pub(crate) store: StoreConfig,
    pub(crate) keyring: KeyringSource,
    /// How long a device may rest before it uses its refresh token again.
    pub(crate) refresh_token_rest: Duration,
    pub(crate) web: WebConfig,
    /// The load balancer that signs people in, if one does.
    pub(crate) alb: Option<AlbConfig>,
    pub(crate) network: Network,
    pub(crate) log: Log,
    /// What works but should be looked at.
    pub(crate) warnings: Vec<String>,
}

/// Where requests live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreConfig {
    /// In one file.
    Embedded(PathBuf),
    /// In a table.
    DynamoDb(Table),
}

/// A DynamoDB table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) timeout: Duration,
}

/// How connections are kept.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Address and port.
    pub(crate) listen: String,
    /// The longest wait for a request's head; also the idle time of a connection.
    pub(crate) header_timeout: Duration,
    pub(crate) max_connections: usize,
    /// How many requests are answered at once, in each lane.
    pub(crate) requests_at_once: usize,
    /// Where `/metrics` is, if anywhere.
    pub(crate) metrics_listen: Option<String>,
    /// Between the first word of the end and the last accepted connection.
    pub(crate) drain_delay: Duration,
    /// For open requests to finish.
    pub(crate) drain_timeout: Duration,
}

impl Network {
    /// Whether only this machine can reach the address that it listens on; `None` where a name stands for it.
    pub(crate) fn listens_here_only(&self) -> Option<bool> {
        self.listen.parse::<SocketAddr>().ok().map(|address| address.ip().is_loopback())
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Json,
    Human,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: String,
}

/// What turns registrations into clients: the service's own settings hold the defaults.
#[derive(Clone)]
pub(crate) struct Registrations(Arc<document::Settings>);

impl Registrations {
    /// The client that is registered as `id`, or every problem with it.
    pub(crate) fn client(
        &self,
        id: &ClientId,
        registration: &Registration,
    ) -> Result<DeviceClient, WrongConfiguration> {
        let mut problems = Problems::default();
        let settings = document::registered(id.as_str(), &registration.settings, &mut problems);
        codes::check_registered(&self.0, &settings, &mut problems);
        let client = clients::registered(&settings, &self.0, registration, &mut problems);
        match client {
            Some(client) if problems.list.is_empty() => {
                for warning in &problems.warnings {
                    tracing::warn!("{warning}");
                }
                Ok(client)
            }
            _ => Err(problems.into()),
        }
    }

    /// The client of the pool that one who is registered as `id` has for itself, whether the rest of the settings is good or
    /// not.
    pub(crate) fn pool_client(id: &ClientId, registration: &Registration) -> Option<String> {
        let settings = document::registered(id.as_str(), &registration.settings, &mut Problems::default());
        settings.text("client.upstream_client_id").map(str::to_owned)
    }

    /// The client that an app client of the pool is.
    pub(crate) fn app_client(&self, app: &AppClient) -> Result<DeviceClient, WrongConfiguration> {
        let mut problems = Problems::default();
        let client = clients::of_pool(app, &self.0, &mut problems);
        client.filter(|_| problems.list.is_empty()).ok_or_else(|| problems.into())
    }
}

/// The whole configuration, or every problem in it.
pub(crate) fn load(file: Option<&Path>, environment: &Environment) -> Result<Config, WrongConfiguration> {
    check(Document::load(file, environment))
}

/// The same for the text of a file; `None` if it names further files.
#[cfg(feature = "fuzzing")]
pub(crate) fn load_text(text: &str, environment: &Environment) -> Option<Result<Config, WrongConfiguration>> {
    let document = Document::load_text(text, environment);
    (!document.names_files()).then(|| check(document))
}

fn check(document: Document) -> Result<Config, WrongConfiguration> {
    let Document { service, clients, mut problems, unreadable } = document;
    if unreadable {
        return Err(problems.into());
    }
    let config = service::build(&Arc::new(service), &clients, &mut problems);
    match config {
        Some(config) if problems.list.is_empty() => Ok(Config { warnings: problems.warnings, ..config }),
        _ => Err(problems.into()),
    }
}

/// Only what `migrate` needs: the store, and how to log. What else is wrong with the file's form is told too.
pub(crate) fn load_store(
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(StoreConfig, Log), WrongConfiguration> {
    load_part(file, environment, |service, problems| {
        (service::store(service, problems), service::log(service))
    })
}

/// Only what `health` needs: where the server listens.
pub(crate) fn load_listen(
    file: Option<&Path>,
    environment: &Environment,
) -> Result<String, WrongConfiguration> {
    load_part(file, environment, service::listen)
}

fn load_part<T>(
    file: Option<&Path>,
    environment: &Environment,
    read: impl FnOnce(&document::Settings, &mut Problems) -> T,
) -> Result<T, WrongConfiguration> {
    let Document { service, mut problems, unreadable, .. } = Document::load(file, environment);
    if unreadable {
        return Err(problems.into());
    }
    let part = read(&service, &mut problems);
    if problems.list.is_empty() { Ok(part) } else { Err(problems.into()) }
}
