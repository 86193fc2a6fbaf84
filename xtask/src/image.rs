//! `cargo xtask image`: the container image, without an engine.

mod binary;
mod pack;
mod root;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::workspace;

/// The one program in the image.
const PACKAGE: &str = "device-grant";
/// It serves AWS Lambda as well: by whom it is started decides.
const FEATURES: &str = "lambda";

/// What is made, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the image goes; by default `target/image`.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only the files that go into the image: what its Containerfile does.
    #[arg(long)]
    files_only: bool,
}

/// Builds the program and packs it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let output = match &options.output {
        Some(directory) => std::path::absolute(directory)?,
        None => workspace::target()?.join("image"),
    };
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    let target = binary::Target::of_this_machine()?;
    let binary = target.build()?;
    let sbom = sbom::of(PACKAGE, target.triple())?;
    write(&output.join("sbom.cdx.json"), sbom.as_bytes())?;
    root::make(&output, &binary, &sbom)?;
    if options.files_only {
        println!("the files of the image lie in {}", output.display());
        return Ok(());
    }
    pack::pack(&output)
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
