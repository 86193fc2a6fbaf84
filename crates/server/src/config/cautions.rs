//! What works, and deserves a second look.

use std::path::Path;

use url::Url;

use super::problem::Problems;
use super::{KeyringSource, Network};

pub(super) fn add(public_url: &Url, network: &Network, keyring: &KeyringSource, problems: &mut Problems) {
    if public_url.scheme() == "http" && network.listens_here_only() == Some(false) {
        problems.warnings.push(format!(
            "listen: plain http is for this machine, and {} takes requests from others: what they send can be read on the \
             way",
            network.listen
        ));
    }
    if let Some(file) = keyring.file()
        && is_open_to_others(file)
    {
        problems.warnings.push(format!(
            "the keyring {} can be read by other users of this machine: chmod 600",
            file.display()
        ));
    }
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // A file that is not there yet is made for its owner only.
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
const fn is_open_to_others(_: &Path) -> bool {
    false
}
