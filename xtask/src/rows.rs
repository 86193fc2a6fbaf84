//! `docs/conformance.md` against the tests that name its rows.

mod citations;
mod document;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, bail};

use crate::workspace;
use document::Document;

/// The tests of each row, as `path::test_name`.
type TestsByRow = BTreeMap<String, BTreeSet<String>>;

/// Prints each row with its tests and the rows without one; with `write` the document's column is made anew first.
///
/// Fails when a test names a row that is not there, when the document's column is not what the tests say, or when another
/// document names a test that is not there.
pub(crate) fn run(write: bool) -> anyhow::Result<()> {
    let path = workspace::root().join("docs/conformance.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut document = Document::parse(&text)?;
    let tests = scan::tests_by_row(workspace::root())?;

    let mut problems = unknown_rows(&document, &tests);
    if write {
        document.set_tests(&tests);
        fs::write(&path, document.text()).with_context(|| format!("cannot write {}", path.display()))?;
    } else {
        problems.extend(stale_claims(&document, &tests));
    }
    problems.extend(citations::broken(workspace::root())?);
    print_rows(&document, &tests);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

fn unknown_rows(document: &Document, tests: &TestsByRow) -> Vec<String> {
    let unknown = tests.iter().filter(|(id, _)| document.rows().all(|row| row.id != **id));
    unknown
        .map(|(id, tests)| {
            format!("{id} is no row of docs/conformance.md, but these name it: {}", list(tests))
        })
        .collect()
}

fn stale_claims(document: &Document, tests: &TestsByRow) -> Vec<String> {
    let none = BTreeSet::new();
    let mut problems = Vec::new();
    for row in document.rows() {
        let real = tests.get(&row.id).unwrap_or(&none);
        let gone: BTreeSet<_> = row.tests.difference(real).cloned().collect();
        let unlisted: BTreeSet<_> = real.difference(&row.tests).cloned().collect();
        if !gone.is_empty() {
            problems.push(format!(
                "{} claims tests that do not exist or do not name it: {}",
                row.id,
                list(&gone)
            ));
        }
        if !unlisted.is_empty() {
            problems.push(format!(
                "{} does not list: {} (cargo xtask rows --write)",
                row.id,
                list(&unlisted)
            ));
        }
    }
    problems
}

fn print_rows(document: &Document, tests: &TestsByRow) {
    let (shown, bare): (Vec<_>, Vec<_>) = document.rows().partition(|row| tests.contains_key(&row.id));
    for row in &shown {
        println!("{} ({})", row.id, row.due);
        for test in &tests[&row.id] {
            println!("    {test}");
        }
    }
    for due in ["now", "later"] {
        let ids: Vec<_> = bare.iter().filter(|row| row.due == due).map(|row| row.id.as_str()).collect();
        println!("rows without a test, due {due} ({}): {}", ids.len(), ids.join(" "));
    }
    println!("{} rows, {} with a test", shown.len() + bare.len(), shown.len());
}

fn list(tests: &BTreeSet<String>) -> String {
    tests.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
