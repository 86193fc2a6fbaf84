//! Keyring files: written once, for their owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use device_grant_domain::{Entropy, KeyMaterial, Keyring};
use zeroize::Zeroizing;

use crate::config;

/// Writes fresh keys to `path`. A file that is there already stays, and is an error of the kind `AlreadyExists`.
///
/// The file appears whole or not at all, also when two processes start at once.
pub(crate) fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let text = config::encode_keyring(&Keyring::fresh_material(entropy));
    let unfinished = unfinished(path, entropy);
    let written = write(&unfinished, text.as_bytes()).and_then(|()| fs::hard_link(&unfinished, path));
    // The other name is of no use any more, whatever came of it.
    let removed = fs::remove_file(&unfinished);
    written.and(removed)
}

/// Puts these keys in the place of what is at `path`, whole or not at all.
pub(crate) fn replace(path: &Path, keys: &[KeyMaterial], entropy: &dyn Entropy) -> anyhow::Result<()> {
    let unfinished = unfinished(path, entropy);
    let written = write(&unfinished, config::encode_keyring(keys).as_bytes());
    let replaced = written.and_then(|()| fs::rename(&unfinished, path));
    if replaced.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&unfinished);
    }
    replaced.with_context(|| format!("cannot write the keyring {}", path.display()))
}

/// The keys beside the embedded store at `store`, made now if both are new.
pub(crate) fn beside(store: &Path, keys: &Path, entropy: &dyn Entropy) -> anyhow::Result<Vec<KeyMaterial>> {
    if !keys.exists() {
        if store.exists() {
            bail!(
                "the store {} is there, but its keyring {} is not: put it back, or make new keys with \
                 `device-grant init --keyring {}`, which ends every login that rests on the old ones",
                store.display(),
                keys.display(),
                keys.display()
            );
        }
        match create(keys, entropy) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot write the keyring {}", keys.display()));
            }
            _ => {}
        }
    }
    read(keys)
}

/// The keys in the file at `path`.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<KeyMaterial>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the keyring {name}"))?;
    config::decode_keyring(&Zeroizing::new(text))
        .map_err(|why| anyhow::anyhow!("the keyring {name} cannot be used: {why}"))
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn unfinished(path: &Path, entropy: &dyn Entropy) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{:016x}", u64::from_be_bytes(device_grant_domain::bytes(entropy))));
    name.into()
}
