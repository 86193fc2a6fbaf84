//! `SUMMARY.md` against the pages that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::workspace::{self, has_extension};

const SUMMARY: &str = "SUMMARY.md";

/// The pages below `docs` that the book does not hold, and those that say nothing. (That the summary names no page that
/// is not there, and none twice, is for mdBook to say.)
pub(super) fn problems(docs: &Path) -> anyhow::Result<Vec<String>> {
    let summary = fs::read_to_string(docs.join(SUMMARY)).context("docs has no SUMMARY.md")?;
    let named = chapters(&summary);
    let mut problems = Vec::new();
    for path in workspace::files(docs, &|path| has_extension(path, "md"))? {
        let name = path.strip_prefix(docs).unwrap_or(&path).to_string_lossy().into_owned();
        if name == SUMMARY {
            continue;
        }
        if !named.contains(name.as_str()) {
            problems.push(format!("docs/{name} is not in docs/SUMMARY.md"));
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if is_empty(&text) {
            problems.push(format!("docs/{name} says nothing"));
        }
    }
    Ok(problems)
}

/// The targets of the links in a summary.
fn chapters(summary: &str) -> BTreeSet<&str> {
    summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

/// Whether there are headings only.
fn is_empty(page: &str) -> bool {
    page.lines().all(|line| line.trim().is_empty() || line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_its_chapters() {
        let summary = "# Summary\n\n[Introduction](introduction.md)\n\n- [A](a.md)\n  - [B (of A)](a/b.md)\n";
        assert_eq!(chapters(summary).into_iter().collect::<Vec<_>>(), ["a.md", "a/b.md", "introduction.md"]);
    }

    #[test]
    fn a_page_of_headings_is_empty() {
        assert!(is_empty("# Title\n\n## Later\n") && is_empty(""));
        assert!(!is_empty("# Title\n\nWords.\n"));
    }

    #[test]
    fn a_page_that_the_summary_forgets_and_an_empty_one_are_told() {
        let docs = std::env::temp_dir().join(format!("summary-{}", std::process::id()));
        fs::create_dir_all(docs.join("a")).unwrap();
        for (name, text) in
            [(SUMMARY, "# Summary\n\n- [A](a.md)\n"), ("a.md", "# A\n"), ("a/b.md", "# B\n\nWords.\n")]
        {
            fs::write(docs.join(name), text).unwrap();
        }
        let found = problems(&docs);
        fs::remove_dir_all(&docs).unwrap();
        assert_eq!(found.unwrap(), ["docs/a/b.md is not in docs/SUMMARY.md", "docs/a.md says nothing"]);
    }
}
