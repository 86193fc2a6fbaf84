//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

use crate::config::DEFAULT_FILE;

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
    /// List the keys, and rotate them.
    Key(Key),
    /// Check configuration, store, user pool, clock and keys, and say what to mend.
    Doctor(ConfigFile),
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
    Activate(OneKey),
    /// Remove a key that nothing depends on any more. Then give the file to every replica.
    Retire {
        #[command(flatten)]
        key: OneKey,
        /// Remove it although refresh tokens may rest on it: their devices must log in again.
        #[arg(long)]
        log_devices_out: bool,
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
