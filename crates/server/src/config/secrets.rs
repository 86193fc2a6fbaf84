//! Secrets, written in place or in files of their own.

use std::fs;

use device_grant_domain::pool::PoolSecret;
use device_grant_protocol::ClientSecret;
use zeroize::Zeroizing;

use super::document::Settings;
use super::problem::Problems;

/// The secret at `inline`, or in the file that `file` names. Both at once is a problem.
pub(super) fn read(
    settings: &Settings,
    inline: &str,
    file: &str,
    problems: &mut Problems,
) -> Option<ClientSecret> {
    match (settings.text(inline), settings.text(file)) {
        (Some(_), Some(_)) => {
            problems.add(settings.wrong(file, format!("either this or {}", settings.label(inline))));
            None
        }
        (Some(secret), None) => Some(ClientSecret::new(secret)),
        (None, Some(_)) => content(settings, file, problems).map(|secret| ClientSecret::new(secret.as_str())),
        (None, None) => None,
    }
}

/// The secret of a pool client at `inline`, or in the file or at the place that the settings of that name with `_file` and
/// `_manager` name.
pub(super) fn of_pool_client(
    settings: &Settings,
    inline: &str,
    problems: &mut Problems,
) -> Option<PoolSecret> {
    let (file, manager) = (format!("{inline}_file"), format!("{inline}_manager"));
    let here = read(settings, inline, &file, problems).map(PoolSecret::from);
    match (here, settings.text(&manager)) {
        (Some(_), Some(_)) => {
            problems.add(settings.wrong(&manager, format!("either this or {}", settings.label(inline))));
            None
        }
        (None, Some(place)) => Some(PoolSecret::kept_at(place)),
        (here, None) => here,
    }
}

/// What stands in the file that `path` names, without the line end at its end.
pub(super) fn content(settings: &Settings, path: &str, problems: &mut Problems) -> Option<Zeroizing<String>> {
    let name = settings.text(path)?;
    match fs::read_to_string(name).map(Zeroizing::new) {
        Ok(text) if !text.trim().is_empty() => {
            Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        Ok(_) => {
            problems.add(settings.wrong(path, "a file that is not empty"));
            None
        }
        Err(error) => {
            problems.add(settings.wrong(path, format!("a file that can be read ({error})")));
            None
        }
    }
}
