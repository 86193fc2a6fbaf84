//! Where things lie.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command;

/// The directory of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies directly below the workspace")
}

/// The directory that cargo builds into, as cargo itself sees it (`CARGO_TARGET_DIR`, configuration files).
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let metadata = command::output("cargo", ["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let directory =
        metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(directory))
}

/// Where the real parts are kept between runs.
pub(crate) fn parts() -> anyhow::Result<PathBuf> {
    Ok(target()?.join("parts"))
}

/// The files below `directory` that are `wanted`, in order.
pub(crate) fn files(directory: &Path, wanted: &dyn Fn(&Path) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(self::files(&path, wanted)?);
        } else if wanted(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Whether `path` has this extension.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|own| own == extension)
}

/// Whether there is a program of this name. Debian's servers lie in a directory that is not on everybody's path.
pub(crate) fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    directories.into_iter().any(|directory| directory.join(name).is_file())
}
