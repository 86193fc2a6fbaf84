//! The release binary.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use device_grant_testkit::parts;

/// The section that gives all replicas the same keys, which the binary makes in `directory`.
pub fn keyring(directory: &Path) -> anyhow::Result<String> {
    let file = directory.join("keyring");
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    let init = Command::new(path()?).args(["init", "--keyring"]).arg(&file).current_dir(directory).output();
    let init = init.context("init does not start")?;
    ensure!(init.status.success() && file.is_file(), "init: {init:?}");
    Ok(format!("[keyring]\nfile = \"{}\"\n", file.display()))
}

/// The beginning of the section of a device client, whose secret is its id and `-secret`, and whose pool client has both
/// too.
pub fn client(id: &str) -> String {
    format!(
        r#"[[client]]
id = "{id}"
auth_method = "client_secret_basic"
secret = "{id}-secret"
upstream_client_id = "same"
scopes = ["openid", "profile", "offline_access"]
token_set = "ID+ACCESS+REFRESH"
"#
    )
}

/// What the servers find in the environment, besides what the tests have themselves: whom to trust, and the way to names
/// under `.test`.
pub fn environment(authority: &Path, proxy: SocketAddr) -> Vec<(&'static str, String)> {
    vec![
        ("HTTPS_PROXY", format!("http://{proxy}")),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("SSL_CERT_FILE", authority.display().to_string()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        // The default of five seconds would be most of what these tests take.
        ("POLLING_INTERVAL", "1".to_owned()),
    ]
}

/// `device-grant <verb>` on a configuration.
pub fn command(
    verb: &str,
    configuration: &Path,
    environment: &[(&'static str, String)],
) -> anyhow::Result<Command> {
    let mut command = Command::new(path()?);
    command.arg(verb).arg("--config").arg(configuration);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

/// Where it is.
pub fn path() -> anyhow::Result<PathBuf> {
    let binary = parts::target().join("release/device-grant");
    ensure!(binary.is_file(), "{} is missing: cargo build --release -p device-grant", binary.display());
    Ok(binary)
}
