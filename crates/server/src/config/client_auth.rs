//! How a device client proves itself, from its `[[client]]`.

use std::fs;
use std::sync::Arc;

use device_grant_domain::client::registry::Registration;
use device_grant_domain::client::{Audience, ClientAuth, KeySource, OtherSecret, PrivateKeyJwt, SecretHash};
use device_grant_domain::jws::{KeySet, PublicKey, SigningAlgorithm, is_private};
use device_grant_protocol::ClientSecret;
use device_grant_upstream::RemoteKeys;
use serde_json::Value;
use url::Url;

use super::document::Settings;
use super::problem::Problems;
use super::secrets;

const METHOD: &str = "client.auth_method";
const HASH: &str = "client.secret_hash";
const JWKS_FILE: &str = "client.jwks_file";
const JWKS_URI: &str = "client.jwks_uri";
const USABLE: &str = "public keys for signatures: RSA of 2048 bits or more, EC P-256 or P-384, Ed25519";
const ALGORITHMS: &str = "client.assertion_algorithms";

/// Shorter ones are not refused: they may be out on devices already.
const SHORTEST_SECRET: usize = 16;

/// What only a client with a secret has.
const OF_A_SECRET: [&str; 6] = [
    "client.secret",
    "client.secret_file",
    HASH,
    "client.next_secret",
    "client.next_secret_file",
    "client.next_secret_hash",
];
/// What only a client with keys has.
const OF_KEYS: [&str; 4] = [JWKS_FILE, JWKS_URI, ALGORITHMS, "client.assertion_audience"];

/// `secret` is what was read from `client.secret` or its file.
pub(super) fn build(
    settings: &Settings,
    secret: Option<&ClientSecret>,
    problems: &mut Problems,
) -> Option<ClientAuth> {
    let hash = hash(settings, HASH, secret, problems);
    let next_secret = secrets::read(settings, "client.next_secret", "client.next_secret_file", problems);
    let next = self::hash(settings, "client.next_secret_hash", next_secret.as_ref(), problems);
    let other = next.map(|hash| OtherSecret { hash, until: None });
    for secret in secret.into_iter().chain(&next_secret) {
        if secret.expose().len() < SHORTEST_SECRET {
            let name = settings.text("client.id").unwrap_or_default();
            problems.warnings.push(format!(
                "client {name:?}: a secret of fewer than {SHORTEST_SECRET} characters can be guessed; `device-grant client \
                 add` makes one of 256 bits"
            ));
        }
    }
    let has_secret = OF_A_SECRET.iter().any(|path| settings.written(path).is_some());
    let method = settings.text(METHOD);
    if method != Some("private_key_jwt")
        && let Some(path) = OF_KEYS.iter().find(|path| settings.written(path).is_some())
    {
        problems.add(settings.wrong(path, "auth_method = \"private_key_jwt\" beside it"));
    }
    match (method, has_secret) {
        (Some("none" | "private_key_jwt"), true) => {
            problems.add(settings.wrong(METHOD, "a method with a secret, since the client has one"));
            None
        }
        (Some("none"), false) => Some(ClientAuth::None),
        (Some("private_key_jwt"), false) => {
            private_key_jwt(settings, problems).map(ClientAuth::PrivateKeyJwt)
        }
        (None, false) => {
            // What was written but refused has its own problem already.
            let expected = "\"none\" for a public client; or a secret, as secret, secret_file or secret_hash; or \
                            \"private_key_jwt\" and its keys";
            settings.miss(METHOD, expected, problems);
            None
        }
        (method, _) => {
            let first = ["client.secret", "client.secret_file", HASH];
            if !first.iter().any(|path| settings.written(path).is_some()) {
                let expected = "the secret of the client, as secret, secret_file or secret_hash";
                settings.miss("client.secret_file", expected, problems);
            }
            Some(ClientAuth::Secret { hash: hash?, other, post: method != Some("client_secret_basic") })
        }
    }
}

/// How a registered client proves itself: its secrets and keys are not among its settings.
pub(super) fn registered(
    settings: &Settings,
    registration: &Registration,
    problems: &mut Problems,
) -> Option<ClientAuth> {
    for path in OF_A_SECRET.iter().chain(&[JWKS_FILE, JWKS_URI]) {
        if settings.written(path).is_some() {
            problems.add(
                settings
                    .wrong(path, "nothing here: `device-grant client` makes secrets and takes keys itself"),
            );
        }
    }
    let method = settings.text(METHOD).unwrap_or("client_secret_basic");
    match (method, registration.secrets.as_slice(), &registration.jwks) {
        ("none", [], None) => Some(ClientAuth::None),
        ("private_key_jwt", [], Some(jwks)) => {
            let keys = KeySource::Registered(Arc::new(KeySet::read(jwks.as_bytes())?));
            Some(ClientAuth::PrivateKeyJwt(with_keys(settings, keys, problems)?))
        }
        ("client_secret_basic" | "client_secret_post", [first, rest @ ..], None) => {
            Some(ClientAuth::Secret {
                hash: first.hash()?,
                other: rest.first().and_then(|old| Some(OtherSecret { hash: old.hash()?, until: old.until })),
                post: method == "client_secret_post",
            })
        }
        _ => {
            problems.add(settings.wrong(METHOD, "the method that the client was registered with"));
            None
        }
    }
}

/// The hash of `secret`, or the one at `path`. Both at once is a problem.
fn hash(
    settings: &Settings,
    path: &str,
    secret: Option<&ClientSecret>,
    problems: &mut Problems,
) -> Option<SecretHash> {
    let written = settings.text(path).and_then(|text| {
        let hash = read_hash(text);
        if hash.is_none() {
            problems.add(settings.wrong(path, "sha256: and 64 hexadecimal digits"));
        }
        hash
    });
    if secret.is_some() && settings.text(path).is_some() {
        problems.add(settings.wrong(path, "either this or the secret itself"));
    }
    secret.map(|secret| SecretHash::of(secret.expose())).or(written)
}

fn read_hash(text: &str) -> Option<SecretHash> {
    let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii())?;
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some(SecretHash::from_bytes(hash))
}

fn private_key_jwt(settings: &Settings, problems: &mut Problems) -> Option<PrivateKeyJwt> {
    let keys = match (settings.text(JWKS_FILE), settings.text(JWKS_URI)) {
        (Some(_), Some(_)) => {
            problems.add(settings.wrong(JWKS_URI, format!("either this or {}", settings.label(JWKS_FILE))));
            None
        }
        (Some(name), None) => match key_file(name) {
            Ok((keys, unused)) => {
                if unused > 0 {
                    let label = settings.label(JWKS_FILE);
                    problems
                        .warnings
                        .push(format!("{label}: {unused} of its keys cannot be used: expected {USABLE}"));
                }
                Some(KeySource::Registered(Arc::new(keys)))
            }
            Err(expected) => {
                problems.add(settings.wrong(JWKS_FILE, expected));
                None
            }
        },
        (None, Some(uri)) => {
            let uri = Url::parse(uri).ok().filter(RemoteKeys::accepts);
            if uri.is_none() {
                let expected = "an https URL without credentials; plain http is for this machine only";
                problems.add(settings.wrong(JWKS_URI, expected));
            }
            uri.map(KeySource::At)
        }
        (None, None) => {
            settings.miss(JWKS_FILE, "the public keys of the client: this file, or jwks_uri", problems);
            None
        }
    };
    with_keys(settings, keys?, problems)
}

fn with_keys(settings: &Settings, keys: KeySource, problems: &mut Problems) -> Option<PrivateKeyJwt> {
    let algorithms = algorithms(settings, problems);
    let audience = match settings.text("client.assertion_audience") {
        Some("endpoint") => Audience::Endpoint,
        _ => Audience::Issuer,
    };
    Some(PrivateKeyJwt { keys, algorithms: algorithms?, audience })
}

/// The keys in the file `name`, and how many more cannot be used; or what was expected there. Its content is never
/// quoted: it may be the wrong file.
fn key_file(name: &str) -> Result<(KeySet, usize), String> {
    let text = fs::read(name).map_err(|error| format!("a file that can be read ({error})"))?;
    read_keys(&text)
}

/// The public keys in a JWK set, and how many more cannot be used; or what was expected.
pub(crate) fn read_keys(text: &[u8]) -> Result<(KeySet, usize), String> {
    let document: Value = serde_json::from_slice(text).map_err(|_| "a JWK set: {\"keys\": [ … ]}")?;
    let keys = document.get("keys").and_then(Value::as_array).ok_or("a JWK set: {\"keys\": [ … ]}")?;
    if keys.iter().any(is_private) {
        return Err(
            "public keys only; this file holds a private one, which belongs to the client alone".to_owned()
        );
    }
    let unused = keys.iter().filter(|key| PublicKey::read(key).is_none()).count();
    let keys = KeySet::read(text).ok_or_else(|| format!("at least one of {USABLE}"))?;
    Ok((keys, unused))
}

fn algorithms(settings: &Settings, problems: &mut Problems) -> Option<Vec<SigningAlgorithm>> {
    let names = settings.texts(ALGORITHMS)?;
    let algorithms: Option<Vec<_>> = names.iter().map(|name| name.parse().ok()).collect();
    let algorithms = algorithms.filter(|algorithms| !algorithms.is_empty());
    if algorithms.is_none() {
        let known: Vec<_> = SigningAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
        problems.add(settings.wrong(ALGORITHMS, format!("some of {}", known.join(", "))));
    }
    algorithms
}
