//! The parsers of what operators write, for the fuzz targets. Not part of any product build.

use std::collections::BTreeMap;

use device_grant_domain::KeyMaterial;

use crate::config;

/// Reads `text` as a configuration file, with `environment` laid over it, and checks the whole. `None` if it names a file:
/// that file is not to be opened for a stranger.
pub fn configuration(text: &str, environment: &BTreeMap<String, String>) -> Option<Result<(), String>> {
    let config = config::load_text(text, environment)?;
    Some(config.map(drop).map_err(|wrong| wrong.to_string()))
}

/// Reads the content of a keyring file.
pub fn read_keyring(text: &str) -> Result<Vec<KeyMaterial>, String> {
    config::decode_keyring(text)
}

/// The content of a keyring file with these keys.
pub fn write_keyring(keys: &[KeyMaterial]) -> String {
    config::encode_keyring(keys).to_string()
}
