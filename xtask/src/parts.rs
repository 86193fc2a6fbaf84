//! The real parts: fetched into `target/parts`, kept between runs, each with a mark of what it was made from.

mod aws_tools;
mod debian;
mod dynamodb_local;
mod go_tools;
mod image_tools;
mod keycloak;
mod mdbook;
mod rust;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::{command, workspace};

/// The plugin that fetches from the Maven registry, with its version, so that every machine runs the same one.
const MAVEN_DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// Fetches what is missing or of another version.
pub(crate) fn fetch() -> anyhow::Result<()> {
    debian::install_missing()?;
    let parts = workspace::parts()?;
    fs::create_dir_all(&parts).with_context(|| format!("cannot make {}", parts.display()))?;
    kept(&parts.join("dynamodb-local"), &dynamodb_local::mark(), dynamodb_local::make)?;
    kept(&parts.join("keycloak"), &keycloak::mark(), keycloak::make)?;
    kept(&parts.join("aws-tools"), &aws_tools::mark(), aws_tools::make)?;
    mdbook()?;
    kept(&parts.join("bin"), &go_tools::mark(), go_tools::make)?;
    kept(&parts.join("image-tools"), &image_tools::mark(), image_tools::make)?;
    rust::add_static_target();
    println!("the real parts lie in {}", parts.display());
    Ok(())
}

/// The program that builds the book, fetched unless it is there.
pub(crate) fn mdbook() -> anyhow::Result<PathBuf> {
    let directory = workspace::parts()?.join("mdbook");
    kept(&directory, &mdbook::mark(), mdbook::make)?;
    Ok(mdbook::program(&directory))
}

/// Makes a part anew unless its directory carries this very mark.
///
/// The mark is written last, so that a part that was broken off half-way is made again.
fn kept(directory: &Path, mark: &str, make: fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mark_file = directory.join("made-from");
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    if fs::read_to_string(&mark_file).is_ok_and(|found| found == mark) {
        println!("{name}: there ({})", mark.lines().next().unwrap_or_default());
        return Ok(());
    }
    println!("{name}: fetching ({})", mark.lines().next().unwrap_or_default());
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    make(directory).with_context(|| format!("{name} could not be fetched"))?;
    fs::write(&mark_file, mark).with_context(|| format!("cannot write {}", mark_file.display()))
}

/// Runs one goal of Maven's dependency plugin in the part's directory, where the plugin also leaves its own marks.
fn maven<A: AsRef<OsStr>>(
    directory: &Path,
    goal: &str,
    arguments: impl IntoIterator<Item = A>,
) -> anyhow::Result<()> {
    let mut maven = command::new("mvn");
    maven.current_dir(directory);
    maven.args(["--batch-mode", "--quiet"]).arg(format!("{MAVEN_DEPENDENCY_PLUGIN}:{goal}")).args(arguments);
    command::run(&mut maven)
}

/// `-Dname=value` for Maven.
fn property(name: &str, value: &Path) -> String {
    format!("-D{name}={}", value.display())
}
