//! `cargo deny`, as `deny.toml` has it: licences, bans and sources always, advisories where their database can be had.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::command;

/// Where cargo-deny fetches advisories from.
const DATABASE: &str = "https://github.com/RustSec/advisory-db";
/// The workspace, and the fuzz targets beside it.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

/// Checks both workspaces. A clone of the advisory database at `database` stands in for the one in the network. Returns what
/// must not go unnoticed.
pub(super) fn check(database: Option<&Path>) -> anyhow::Result<Option<String>> {
    command::install("deny")?;
    let database =
        database.map(Path::canonicalize).transpose().context("--advisory-db names no directory")?;
    let database = database.as_deref();
    for manifest in MANIFESTS {
        // One list of exceptions serves both.
        let checks = ["check", "-A", "license-exception-not-encountered", "licenses", "bans", "sources"];
        command::run(deny(manifest, None).args(checks))?;
    }
    // A separate command, so that a database that cannot be had is not taken for an advisory, nor the other way round.
    if let Err(problem) = command::run(deny(MANIFESTS[0], database).args(["fetch", "db"])) {
        if let Some(database) = database {
            bail!("{} is no clone of the advisory database: {problem:#}", database.display());
        }
        let note = "ADVISORIES WERE NOT CHECKED: their database could not be fetched. Where the network does not reach it, \
                    --advisory-db names a clone of it.";
        eprintln!("\n!!! {note}\n");
        return Ok(Some(note.to_owned()));
    }
    for manifest in MANIFESTS {
        command::run(deny(manifest, database).args(["check", "advisories"]))?;
    }
    Ok(None)
}

fn deny(manifest: &str, database: Option<&Path>) -> Command {
    let mut command = command::new("cargo");
    command.args(["deny", "--locked", "--manifest-path", manifest]);
    if let Some(database) = database {
        // cargo-deny fetches with git, which knows another way to the same repository.
        command.env("GIT_CONFIG_COUNT", "1");
        command.env("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", database.display()));
        command.env("GIT_CONFIG_VALUE_0", DATABASE);
    }
    command
}
