//! What Debian packages: installed as root, named otherwise.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::{command, workspace};

/// Each program with the packages that bring it.
const PROGRAMS: [(&str, &[&str]); 12] = [
    ("java", &["default-jre-headless"]),
    ("mvn", &["maven"]),
    ("cc", &["gcc", "libc6-dev"]),
    ("go", &["golang-go"]),
    // Without a font the pages are blank to a screenshot.
    ("chromium", &["chromium", "fonts-liberation"]),
    ("chromedriver", &["chromium-driver"]),
    ("haproxy", &["haproxy"]),
    ("nginx", &["nginx"]),
    ("buildah", &["buildah"]),
    ("musl-gcc", &["musl-tools"]),
    ("python3", &["python3", "python3-venv"]),
    ("systemd-analyze", &["systemd"]),
];

/// While this file refuses, no freshly installed package starts a service of its own.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing; fails with the one line to run when that takes another user.
pub(super) fn install_missing() -> anyhow::Result<()> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !workspace::has_program(program)).collect();
    if missing.is_empty() {
        println!("programs: there ({})", PROGRAMS.map(|(program, _)| program).join(", "));
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
    let line = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if !is_root()? || !workspace::has_program("apt-get") {
        bail!("missing: {programs}. Install them, on Debian with:\n    sudo {line}");
    }
    println!("programs: installing ({programs})");
    let _guard = NoServices::put()?;
    let mut update = command::new("apt-get");
    command::run(update.args(["update", "-q"]))?;
    let mut install = command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-y", "-q", "--no-install-recommends"]);
    command::run(install.args(&packages)).with_context(|| format!("missing: {programs}"))
}

fn is_root() -> anyhow::Result<bool> {
    let me = fs::metadata("/proc/self").context("cannot tell which user this is")?;
    Ok(me.uid() == 0)
}

/// The policy file, for as long as packages are installed; one that was there before stays as it is.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn put() -> anyhow::Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
        let guard = Self { ours: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {POLICY} executable"))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(problem) = fs::remove_file(POLICY)
        {
            eprintln!("warning: {POLICY} could not be removed and keeps services from starting: {problem}");
        }
    }
}
