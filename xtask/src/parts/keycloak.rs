//! Keycloak: its own distribution, built once for the options that the tests start it with.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::{maven, property};
use crate::command;

const VERSION: &str = "26.7.3";

/// The options that Keycloak must know when it is built; with them a start needs no building of its own.
const BUILD_OPTIONS: [&str; 1] = ["--db=dev-mem"];

/// What the part is made from.
pub(super) fn mark() -> String {
    format!("Keycloak {VERSION}\n{}", BUILD_OPTIONS.join("\n"))
}

/// Unpacks the distribution into `home/` and builds it.
pub(super) fn make(directory: &Path) -> anyhow::Result<()> {
    let artifact = format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip");
    maven(directory, "unpack", [artifact, property("outputDirectory", directory)])?;
    let unpacked = directory.join(format!("keycloak-{VERSION}"));
    let home = directory.join("home");
    fs::rename(&unpacked, &home).with_context(|| format!("the archive holds no {}", unpacked.display()))?;
    let mut build = command::new("bash");
    build.arg(home.join("bin/kc.sh")).arg("build").args(BUILD_OPTIONS);
    command::run(&mut build)
}
