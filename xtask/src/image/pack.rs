//! The image from its files, by buildah: as root or in a user namespace, with no daemon and no registry.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::PACKAGE;
use crate::{command, workspace};

/// The image in a form for registries. Its standard knows no health check.
const OCI_ARCHIVE: &str = "device-grant.oci.tar";
/// The image in Docker's form, for `docker load`, with the health check.
const DOCKER_ARCHIVE: &str = "device-grant.docker.tar";

/// Packs `root` and `data` of `output` as the Containerfile says, whose own stage `build` they stand for.
pub(super) fn pack(output: &Path) -> anyhow::Result<()> {
    ensure!(
        workspace::has_program("buildah"),
        "missing: buildah. Install it, on Debian with:\n    sudo apt-get install --no-install-recommends buildah"
    );
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("localhost/{PACKAGE}:{version}");
    // The Containerfile finds its files where its own stage would have put them.
    let stage = output.join("stage");
    make_empty(&stage.join("out"))?;
    for directory in ["root", "data"] {
        fs::rename(output.join(directory), stage.join("out").join(directory))?;
    }
    let context = output.join("context");
    make_empty(&context)?;

    let mut build = buildah(output);
    build.args(["build", "--quiet", "--format", "docker", "--identity-label=false"]);
    build.args(["--timestamp", &moment()?, "--tag", &name]);
    build.args(["--build-arg", &format!("VERSION={version}")]);
    build.args(["--build-arg", &format!("REVISION={}", revision()?)]);
    build.arg("--build-context").arg(joined("build=", &stage));
    build.arg("--file").arg(workspace::root().join("deploy/image/Containerfile")).arg(&context);
    command::run(&mut build)?;

    for (kind, file) in [("oci-archive", OCI_ARCHIVE), ("docker-archive", DOCKER_ARCHIVE)] {
        let archive = output.join(file);
        if archive.exists() {
            fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
        }
        let tag = if kind == "oci-archive" { version } else { &name };
        let mut place = joined(&format!("{kind}:"), &archive);
        place.push(format!(":{tag}"));
        command::run(buildah(output).args(["push", "--quiet", &name]).arg(place))?;
        println!("{} ({} kB)", archive.display(), fs::metadata(&archive)?.len() / 1000);
    }
    for directory in ["store", "run", "stage", "context"] {
        fs::remove_dir_all(output.join(directory)).with_context(|| format!("cannot remove {directory}"))?;
    }
    Ok(())
}

/// buildah with a store of its own, so that it finds nothing of this machine and leaves nothing on it.
fn buildah(output: &Path) -> Command {
    let mut buildah = command::new("buildah");
    buildah.env("BUILDAH_ISOLATION", "chroot").env("STORAGE_DRIVER", "vfs");
    buildah.arg("--root").arg(output.join("store")).arg("--runroot").arg(output.join("run"));
    buildah
}

/// The time that all files get: of the last commit, unless `SOURCE_DATE_EPOCH` names another. In seconds since 1970.
fn moment() -> anyhow::Result<String> {
    if let Some(given) = env::var_os("SOURCE_DATE_EPOCH") {
        return given.into_string().ok().context("SOURCE_DATE_EPOCH is no number");
    }
    Ok(command::output("git", ["log", "-1", "--format=%ct"])?.trim().to_owned())
}

fn revision() -> anyhow::Result<String> {
    Ok(command::output("git", ["rev-parse", "HEAD"])?.trim().to_owned())
}

fn make_empty(directory: &Path) -> anyhow::Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}
