//! `DynamoDB` Local: a directory of jars, and the library that keeps it on loopback.

use std::path::Path;

use super::{maven, property};
use crate::{command, workspace};

const POM: &str = include_str!("../../parts/dynamodb-local.pom.xml");
const LOOPBACK: &str = include_str!("../../parts/loopback.c");

/// What the part is made from: a new version or shim means another mark.
pub(super) fn mark() -> String {
    format!("DynamoDB Local from its pom.xml, with loopback.c\n{POM}\n{LOOPBACK}")
}

/// Fetches the jars into `lib/` and compiles `loopback.so`.
pub(super) fn make(directory: &Path) -> anyhow::Result<()> {
    let recipes = workspace::root().join("xtask/parts");
    let pom = recipes.join("dynamodb-local.pom.xml");
    let lib = property("outputDirectory", &directory.join("lib"));
    maven(directory, "copy-dependencies", ["-f", &pom.to_string_lossy(), &lib, "-DincludeScope=runtime"])?;
    let mut cc = command::new("cc");
    cc.args(["-O2", "-fPIC", "-shared", "-o"]).arg(directory.join("loopback.so"));
    cc.arg(recipes.join("loopback.c")).arg("-ldl");
    command::run(&mut cc)
}
