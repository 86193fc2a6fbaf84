//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use device_grant_protocol::ClientId;
use url::Url;

use crate::config::DEFAULT_FILE;

mod reference;

pub(crate) use reference::reference;

/// OAuth 2.0 device authorization grant (RFC 8628) in front of any OpenID Connect user pool.
#[derive(Debug, Parser)]
#[command(name = "device-grant", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole flow on this machine, with nothing to set up.
    Demo(Demo),
    /// Serve devices and people.
    Serve(ConfigFile),
    /// Be a device: start a login, show its codes, wait, print the result.
    Login(Login),
    /// Write a commented configuration file, or a keyring.
    Init(Init),
    /// Create or upgrade the store.
    Migrate(ConfigFile),
    /// Register device clients in the store, list, show and remove them, and rotate their secrets.
    Client(Client),
    /// List the keys, and rotate them.
    Key(Key),
    /// Let Cognito make another secret for our own pool client, try it, and put it into AWS Secrets Manager. AWS Lambda runs
    /// this as the rotation function of that secret.
    RotatePoolSecret(ConfigFile),
    /// Check configuration, store, user pool, clock and keys, and say what to mend.
    Doctor(ConfigFile),
    /// Ask the server on this machine whether it lives: for the health check of a container.
    Health(ConfigFile),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; without it `device-grant.toml`, if it is there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The named file, or the default one if it is there.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.config.as_deref().or_else(|| Some(Path::new(DEFAULT_FILE)).filter(|file| file.exists()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to listen, on this machine only. Port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Only the servers: prints one line of JSON with what a device needs, and serves until it is ended.
    #[arg(long)]
    pub(crate) no_device: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The server, by its issuer: its public URL.
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Url,
    /// The `client_id` of the device.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// A file with the client's secret; without it the client is public.
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// What to ask for: scopes with blanks between.
    #[arg(long, value_name = "SCOPES")]
    pub(crate) scope: Option<String>,
    /// Print the tokens too.
    #[arg(long)]
    pub(crate) show_tokens: bool,
    /// Draw the QR code.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) qr: Qr,
}

/// When to draw a QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Qr {
    /// When the output is a terminal.
    Auto,
    /// In any case.
    Always,
    /// Not at all.
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to write the configuration.
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    pub(crate) file: PathBuf,
    /// Write a keyring with fresh keys to this file instead.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) keyring: Option<PathBuf>,
    /// Print the reference of all settings instead.
    #[arg(long, hide = true, conflicts_with_all = ["file", "keyring"])]
    pub(crate) reference: bool,
    /// Print the reference of all commands instead.
    #[arg(long, hide = true, conflicts_with_all = ["file", "keyring", "reference"])]
    pub(crate) commands: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) action: KeyAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Print the keys, what they do, and which replicas hold them. No secret is shown.
    List(KeyFile),
    /// Add a fresh key, which opens and does not seal yet. Then give the file to every replica.
    Add {
        #[command(flatten)]
        file: KeyFile,
        /// What it is for.
        #[arg(value_enum)]
        purpose: KeyPurpose,
    },
    /// Let a key seal from now on, once every replica has it. Then give the file to every replica.
    Activate {
        #[command(flatten)]
        key: OneKey,
        /// Activate it although no replica was heard in the last minute: none runs.
        #[arg(long)]
        no_replica_runs: bool,
    },
    /// Remove a key that nothing depends on any more. Then give the file to every replica.
    Retire {
        #[command(flatten)]
        key: OneKey,
        /// Remove a durable key although refresh tokens may rest on it: their devices must log in again.
        #[arg(long)]
        log_devices_out: bool,
        /// Remove a request key although logins may rest on it: those under way must start again.
        #[arg(long)]
        end_logins: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KeyFile {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Work on this keyring file instead of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OneKey {
    #[command(flatten)]
    pub(crate) file: KeyFile,
    /// What it is for.
    #[arg(value_enum)]
    pub(crate) purpose: KeyPurpose,
    /// Its number.
    pub(crate) number: u8,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyPurpose {
    /// Cookies, mailboxes, user codes.
    Request,
    /// Refresh tokens, hashes of client secrets.
    Durable,
}

#[derive(Debug, Args)]
pub(crate) struct Client {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(subcommand)]
    pub(crate) action: ClientAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientAction {
    /// Register a client, and print its secret this once.
    Add {
        /// Its `client_id`.
        id: ClientId,
        #[command(flatten)]
        settings: ClientSettings,
    },
    /// Print the registered clients.
    List,
    /// Print the settings of a client. No secret is shown.
    Show {
        /// Its `client_id`.
        id: ClientId,
    },
    /// Give a client a fresh secret; the old one stays good for a while.
    RotateSecret {
        /// Its `client_id`.
        id: ClientId,
        /// How long the old secret stays good, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        keep_old_s: u64,
    },
    /// Remove a client.
    Remove {
        /// Its `client_id`.
        id: ClientId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ClientSettings {
    /// What people see when they are asked to approve.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How it proves itself.
    #[arg(long, value_enum, value_name = "METHOD", default_value = "client_secret_basic")]
    pub(crate) auth_method: Method,
    /// A scope that it may ask for; once for each.
    #[arg(long)]
    pub(crate) scope: Vec<String>,
    /// For `private_key_jwt`: its public keys, a JWK set.
    #[arg(long, value_name = "FILE")]
    pub(crate) jwks_file: Option<PathBuf>,
    /// A TOML file with further settings, as below a `[[client]]`.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

/// How a client proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Method {
    /// By a secret in the header.
    ClientSecretBasic,
    /// By a secret in the header or in the body.
    ClientSecretPost,
    /// By assertions that it signs.
    PrivateKeyJwt,
    /// Not at all: a public client.
    None,
}

impl Method {
    pub(crate) fn has_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }
}
