//! What the tests of `deploy/` share: where things lie, the tools, and files whose places are exchanged.

mod moto;
mod settings;
mod template;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use device_grant_testkit::parts;

pub use moto::{Compute, Stack};
pub use settings::Settings;
pub use template::{Template, Verdict, cfn_lint, checkov};

/// The directory of the workspace.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies two directories below the workspace")
}

/// The text of a file, named from the root of the workspace.
pub fn read(name: &str) -> anyhow::Result<String> {
    let path = root().join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// An empty directory of this name, for the files of one test.
pub fn scratch(name: &str) -> anyhow::Result<PathBuf> {
    let directory = parts::target().join("deploy").join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// A program that was installed with the system, here or where not everybody's path goes.
///
/// # Panics
/// When it is not there, with what installs it: a check whose tool is missing has not passed.
pub fn program(name: &str) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = directories.find_map(|directory| Some(directory.join(name)).filter(|file| file.is_file()));
    Command::new(found.unwrap_or_else(|| panic!("{name} is not there: run `cargo xtask parts`")))
}

/// A program that `cargo xtask parts` has put into one of its directories.
///
/// # Panics
/// When it is not there.
pub fn fetched(part: &str, program: &str) -> Command {
    let file = parts::directory(part).join(program);
    assert!(file.is_file(), "{} is not there: run `cargo xtask parts`", file.display());
    Command::new(file)
}

/// The release binary.
pub fn binary() -> anyhow::Result<PathBuf> {
    let binary = parts::target().join("release/device-grant");
    ensure!(binary.is_file(), "{} is missing: cargo build --release -p device-grant", binary.display());
    Ok(binary)
}

/// Runs a command to its end; whether it was content, and all that it has said.
pub fn run(command: &mut Command) -> anyhow::Result<(bool, String)> {
    let output = command.output().with_context(|| format!("{command:?} does not start"))?;
    Ok((output.status.success(), said(&output)))
}

/// What a program that was content has written to standard output.
pub fn stdout(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?} does not start"))?;
    ensure!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} has written no text"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A shipped text with what belongs to this machine put in: the places that a test cannot use as they are. All the rest
/// stays as it is shipped, and a place that is not there any more is an error.
pub fn moved(text: &str, places: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for (shipped, here) in places {
        ensure!(text.contains(shipped), "there is no {shipped:?} to exchange in:\n{text}");
        text = text.replace(shipped, here);
    }
    Ok(text)
}

/// The names that every setting of the service has in the environment, from `docs/configuration.md`.
pub fn variables() -> anyhow::Result<BTreeSet<String>> {
    let mut section = None;
    let mut names = BTreeSet::new();
    for line in read("docs/configuration.md")?.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = match title.strip_prefix("`[").and_then(|rest| rest.split_once(']')) {
                Some((name, "`")) => Some(format!("{name}.")),
                _ if title == "At the top" => Some(String::new()),
                _ => None,
            };
        }
        let key = line.strip_prefix("| `").and_then(|rest| rest.split_once('`'));
        if let (Some(section), Some((key, _))) = (&section, key) {
            names.insert(format!(
                "DEVICE_GRANT__{}",
                format!("{section}{key}").replace('.', "__").to_uppercase()
            ));
        }
    }
    ensure!(
        names.contains("DEVICE_GRANT__STORE__TABLE"),
        "docs/configuration.md has another form: {names:?}"
    );
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        assert_eq!(moved("port 80", &[("80", "8080")]).unwrap(), "port 8080");
        assert!(moved("port 80", &[("81", "8080")]).is_err());
    }

    #[test]
    fn variables_are_read_from_the_reference() {
        let names = variables().unwrap();
        assert!(names.contains("DEVICE_GRANT__PUBLIC_URL"));
        assert!(!names.iter().any(|name| name.contains("CLIENT__")), "{names:?}");
    }
}
