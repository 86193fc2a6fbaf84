//! Where the keys are.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::{KeyMaterial, Keyring, Purpose, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::document::Settings;
use super::problem::Problems;
use super::{StoreConfig, secrets, value};

const FILE: &str = "keyring.file";
const KEYS: &str = "keyring.keys";
const KMS: &str = "keyring.kms";
const SECRET: &str = "keyring.secret_manager";

/// Where the keys are.
#[derive(Clone)]
pub(crate) enum KeyringSource {
    /// These, from the environment.
    Given(Vec<KeyMaterial>),
    /// These, in a file that is looked at again while the server runs.
    File(PathBuf, Vec<KeyMaterial>),
    /// In the file beside the embedded store, which is made with the store.
    BesideStore(PathBuf),
    /// In a secret of AWS Secrets Manager.
    Secret {
        /// Its name or ARN.
        id: String,
        region: Option<String>,
    },
    /// In the store, wrapped by KMS.
    Kms {
        /// The id, the ARN or an alias of the key that wraps them.
        key: String,
        region: Option<String>,
    },
}

impl KeyringSource {
    /// The file that the keys are in.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Given(_) | Self::Secret { .. } | Self::Kms { .. } => None,
            Self::File(path, _) | Self::BesideStore(path) => Some(path),
        }
    }
}

/// The content of a keyring file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    number: u8,
    purpose: Purpose,
    active: bool,
    /// Seconds since 1970-01-01T00:00:00Z.
    activated_at: Option<u64>,
    secret: SecretString,
}

pub(super) fn source(
    service: &Settings,
    store: &StoreConfig,
    problems: &mut Problems,
) -> Option<KeyringSource> {
    let mut given = [FILE, KEYS, KMS, SECRET].into_iter().filter(|path| service.text(path).is_some());
    if let (Some(_), Some(path)) = (given.next(), given.next()) {
        problems
            .add(service.wrong(path, format!("one home for the keys: {FILE}, {KEYS}, {KMS} or {SECRET}")));
        return None;
    }
    let region = |id: &str| region_of(id).or_else(|| service.text("store.region")).map(str::to_owned);
    if let Some(key) = service.text(KMS) {
        return Some(KeyringSource::Kms { key: key.to_owned(), region: region(key) });
    }
    if let Some(id) = service.text(SECRET) {
        return Some(KeyringSource::Secret { id: id.to_owned(), region: region(id) });
    }
    let (path, text) = match (service.text(KEYS), service.text(FILE), store) {
        (Some(text), _, _) => (KEYS, Zeroizing::new(text.to_owned())),
        (None, Some(_), _) => (FILE, secrets::content(service, FILE, problems)?),
        (None, None, StoreConfig::Embedded(store)) => {
            return Some(KeyringSource::BesideStore(beside(store)));
        }
        (None, None, StoreConfig::DynamoDb(_)) => {
            let expected = "keys that all replicas share: make them with `device-grant init --keyring FILE` and name \
                            that file here; on AWS, keyring.kms";
            service.miss(FILE, expected, problems);
            return None;
        }
    };
    let keys = decode(&text).map_err(|why| problems.add(service.wrong(path, format!("a keyring: {why}"))));
    let keys = keys.ok()?;
    Some(match service.text(FILE) {
        Some(file) => KeyringSource::File(file.into(), keys),
        None => KeyringSource::Given(keys),
    })
}

/// The region that an ARN names.
pub(crate) fn region_of(id: &str) -> Option<&str> {
    id.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty())
}

/// `<store>.keys`.
fn beside(store: &Path) -> PathBuf {
    let mut path = store.to_owned().into_os_string();
    path.push(".keys");
    path.into()
}

/// Reads the content of a keyring file. The words never quote the text: it holds secrets.
pub(crate) fn decode(text: &str) -> Result<Vec<KeyMaterial>, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = value::line_of(text, error.span().unwrap_or_default().start);
        format!("its line {line} is no [[key]] with number (0 to 255), purpose (\"request\" or \"durable\"), active and secret")
    })?;
    let keys = file.key.into_iter().map(|entry| {
        let secret = BASE64_URL_SAFE_NO_PAD.decode(entry.secret.expose_secret()).map(Zeroizing::new);
        let secret = secret.ok().and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        let (number, purpose, active) = (entry.number, entry.purpose, entry.active);
        let secret =
            secret.ok_or_else(|| format!("the secret of key {number} is not 32 bytes in base64url"))?;
        let activated_at = entry.activated_at.map(Timestamp::from_secs);
        Ok(KeyMaterial { number, purpose, active, activated_at, secret: Zeroizing::new(secret) })
    });
    let keys = keys.collect::<Result<Vec<_>, String>>()?;
    Keyring::new(keys.clone()).map_err(|error| error.to_string())?;
    Ok(keys)
}

/// The content of a keyring file with these keys.
pub(crate) fn encode(keys: &[KeyMaterial]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from(
        "# Keys of device-grant: secret, needed by every replica, and not to be lost.\n",
    ));
    for key in keys {
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(key.secret.as_slice()));
        let since = key.activated_at.map(|at| format!("activated_at = {}\n", at.as_secs()));
        let entry = format!(
            "\n[[key]]\nnumber = {}\npurpose = \"{}\"\nactive = {}\n{}secret = \"",
            key.number,
            key.purpose.as_str(),
            key.active,
            since.unwrap_or_default(),
        );
        text.extend([entry.as_str(), &secret, "\"\n"]);
    }
    text
}
