//! mdBook, which makes the book of `docs/`.

use std::path::{Path, PathBuf};

use crate::command;

const VERSION: &str = "0.5.4";

/// What the part is made from.
pub(super) fn mark() -> String {
    format!("mdBook {VERSION}")
}

/// Builds it without what only serves and searches.
pub(super) fn make(directory: &Path) -> anyhow::Result<()> {
    let mut cargo = command::new("cargo");
    cargo.args(["install", "mdbook", "--version", VERSION, "--locked", "--no-default-features"]);
    cargo.arg("--root").arg(directory);
    command::run(&mut cargo)
}

/// Where it lies below its directory.
pub(super) fn program(directory: &Path) -> PathBuf {
    directory.join("bin/mdbook")
}
