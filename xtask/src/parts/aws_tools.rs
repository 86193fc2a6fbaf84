//! What checks the `CloudFormation` template: `cfn-lint`, `checkov` and the `moto` server, in a Python environment.

use std::path::Path;

use anyhow::Context as _;

use crate::{command, workspace};

const REQUIREMENTS: &str = include_str!("../../parts/aws-tools.txt");

/// What the part is made from: every package with its version.
pub(super) fn mark() -> String {
    format!("cfn-lint, checkov and moto from aws-tools.txt\n{REQUIREMENTS}")
}

/// Makes a virtual environment of the directory and installs into it.
pub(super) fn make(directory: &Path) -> anyhow::Result<()> {
    let mut venv = command::new("python3");
    command::run(venv.args(["-m", "venv"]).arg(directory))
        .context("python3 makes no virtual environment: on Debian that is the package python3-venv")?;
    let mut pip = command::new(&directory.join("bin/pip").to_string_lossy());
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
    command::run(pip.arg(workspace::root().join("xtask/parts/aws-tools.txt")))
}
