//! Keyring files: made for their owner only, and left to whom they belong.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use device_grant_domain::{Entropy, KeyMaterial, Keyring};
use zeroize::Zeroizing;

use crate::config;

/// Writes fresh keys to `path`. A file that is there already stays, and is an error of the kind `AlreadyExists`.
///
/// The file appears whole or not at all, also when two processes start at once.
pub(crate) fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let text = config::encode_keyring(&Keyring::fresh_material(entropy));
    let unfinished = unfinished(path, entropy);
    let written = write(&unfinished, text.as_bytes(), None).and_then(|()| fs::hard_link(&unfinished, path));
    // The other name is of no use any more, whatever came of it.
    let removed = fs::remove_file(&unfinished);
    written.and(removed)
}

/// Puts these keys in the place of the file at `path`, whole or not at all. They belong to whom that belonged: a server that
/// runs as somebody else than this command must be able to read them.
pub(crate) fn replace(path: &Path, keys: &[KeyMaterial], entropy: &dyn Entropy) -> anyhow::Result<()> {
    let failed = || format!("cannot write the keyring {}", path.display());
    let former = fs::symlink_metadata(path).with_context(failed)?;
    // What it leads to would keep the old keys. It is not followed: whoever owns the directory could have us write anywhere.
    ensure!(
        !former.is_symlink(),
        "{} is a link: name the file that it leads to with --keyring",
        path.display()
    );
    let unfinished = unfinished(path, entropy);
    let written = write(&unfinished, config::encode_keyring(keys).as_bytes(), Some(&former));
    let replaced = written.and_then(|()| fs::rename(&unfinished, path));
    if replaced.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&unfinished);
    }
    replaced.with_context(failed)
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

/// Writes a file that must not be there yet, for its owner only, or for whom `former` was.
fn write(path: &Path, content: &[u8], former: Option<&Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some(former) = former {
        leave_to_owner(&file, former)?;
    }
    file.write_all(content)?;
    file.sync_all()
}

/// Gives `file` the owner, the group and the mode of `former`.
fn leave_to_owner(file: &File, former: &Metadata) -> io::Result<()> {
    let fresh = file.metadata()?;
    let owner = Some(former.uid()).filter(|owner| *owner != fresh.uid());
    let group = Some(former.gid()).filter(|group| *group != fresh.gid());
    fchown(file, owner, group).map_err(|error| {
        let (owner, group) = (former.uid(), former.gid());
        io::Error::new(
            error.kind(),
            format!(
                "it belongs to user {owner} and group {group}, and must go on to: do this as root ({error})"
            ),
        )
    })?;
    file.set_permissions(Permissions::from_mode(former.mode() & 0o777))
}

fn unfinished(path: &Path, entropy: &dyn Entropy) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{:016x}", u64::from_be_bytes(device_grant_domain::bytes(entropy))));
    name.into()
}
