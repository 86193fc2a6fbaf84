//! Other programs, run from the root of the workspace.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::workspace;

/// A command that starts in the root of the workspace.
pub(crate) fn new(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).stdin(Stdio::null());
    command
}

/// Runs a command, whose output goes through; an exit code other than zero is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{} does not start", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Sees to it that there is a `cargo <name>`.
pub(crate) fn install(name: &str) -> anyhow::Result<()> {
    let mut version = new("cargo");
    version.args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if run(&mut version).is_ok() {
        return Ok(());
    }
    println!("cargo {name} is not there: it is installed now, once");
    run(new("cargo").args(["install", "--locked", &format!("cargo-{name}")]))
}

/// Runs a program and returns what it wrote to standard output.
pub(crate) fn output<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> anyhow::Result<String> {
    let mut command = new(program);
    command.args(arguments).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("{} does not start", shown(&command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", shown(&command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} wrote something else than text", shown(&command)))
}

/// The command line, for a person to read.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
