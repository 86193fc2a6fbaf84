//! The book of `docs/`: built by mdBook with warnings as errors, then looked through.

mod html;
mod links;
mod summary;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use links::Book;

use crate::{command, parts, workspace};

/// Builds the book, and fails with everything that is wrong with it.
pub(super) fn check() -> anyhow::Result<()> {
    let docs = workspace::root().join("docs");
    let output = workspace::target()?.join("book");
    build(&parts::mdbook()?, &docs, &output)?;
    let book = Book::read(&output)?;
    let mut problems = summary::problems(&docs)?;
    problems.extend(book.broken_links());
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("faults in the book: {}", problems.len());
    }
    println!("{} links lead where they should; the book lies in {}", book.links(), output.display());
    Ok(())
}

/// What an earlier build has left would hide links to pages that are gone.
fn build(mdbook: &Path, docs: &Path, output: &Path) -> anyhow::Result<()> {
    if output.exists() {
        fs::remove_dir_all(output).with_context(|| format!("cannot remove {}", output.display()))?;
    }
    let mut command = command::new(&mdbook.to_string_lossy());
    command.arg("build").arg(docs).arg("--dest-dir").arg(output);
    println!("$ {}", command::shown(&command));
    let built = command.output().with_context(|| format!("{} does not start", mdbook.display()))?;
    let said = String::from_utf8_lossy(&built.stderr).into_owned() + &String::from_utf8_lossy(&built.stdout);
    if !built.status.success() || complains(&said) {
        bail!("mdbook ended with {} and said:\n{said}", built.status);
    }
    Ok(())
}

/// mdBook goes on after a warning, and ends as if nothing had been.
fn complains(said: &str) -> bool {
    said.lines().any(|line| line.contains("WARN") || line.contains("ERROR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_a_complaint() {
        assert!(complains(" INFO Book building has started\n WARN unclosed HTML tag `<id>` found\n"));
        assert!(!complains(" INFO Book building has started\n INFO Running the html backend\n"));
    }
}
