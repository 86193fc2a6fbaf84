//! `docs/conformance.md`: tables whose last two columns are `due` and `tests`.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

use super::TestsByRow;
use super::scan::row_id;

/// The document, line by line.
pub(super) struct Document(Vec<Line>);

enum Line {
    Row(Row),
    Other(String),
}

/// One row of a table.
pub(super) struct Row {
    pub(super) id: String,
    /// `now` or `later`.
    pub(super) due: String,
    pub(super) tests: BTreeSet<String>,
    /// The cells before the tests, as they stand.
    head: String,
}

impl Document {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut seen = BTreeSet::new();
        let mut lines = Vec::new();
        for line in text.lines() {
            let Some(row) = Row::parse(line).with_context(|| format!("in the row: {line}"))? else {
                lines.push(Line::Other(line.to_owned()));
                continue;
            };
            if !seen.insert(row.id.clone()) {
                bail!("{} stands twice in docs/conformance.md", row.id);
            }
            lines.push(Line::Row(row));
        }
        Ok(Self(lines))
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().filter_map(|line| if let Line::Row(row) = line { Some(row) } else { None })
    }

    /// Lists the tests of every row anew.
    pub(super) fn set_tests(&mut self, tests: &TestsByRow) {
        for line in &mut self.0 {
            if let Line::Row(row) = line {
                row.tests = tests.get(&row.id).cloned().unwrap_or_default();
            }
        }
    }

    pub(super) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, line| match line {
            Line::Row(row) => text + &row.text() + "\n",
            Line::Other(other) => text + other + "\n",
        })
    }
}

impl Row {
    fn parse(line: &str) -> anyhow::Result<Option<Self>> {
        let Some(id) = line.strip_prefix("| ").and_then(row_id) else {
            return Ok(None);
        };
        let inner = line.strip_suffix('|').context("it does not end with a bar")?;
        let (head, tests) = inner.rsplit_once('|').context("it has no column of tests")?;
        let due = head.trim_end().rsplit(" | ").next().unwrap_or_default();
        if due != "now" && due != "later" {
            bail!("`due` says neither `now` nor `later`");
        }
        let tests = tests.split("<br>").map(|test| test.trim().trim_matches('`').to_owned());
        let tests = tests.filter(|test| !test.is_empty()).collect();
        Ok(Some(Self { id: id.to_owned(), due: due.to_owned(), tests, head: head.trim_end().to_owned() }))
    }

    fn text(&self) -> String {
        if self.tests.is_empty() {
            return format!("{} | |", self.head);
        }
        let tests: Vec<_> = self.tests.iter().map(|test| format!("`{test}`")).collect();
        format!("{} | {} |", self.head, tests.join("<br>"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n| id | requirement | level | source | due | tests |\n| --- | --- |\n\
        | TP-01 | The `a` | MUST | RFC 1 | now | |\n| TP-02 | b | MAY† | RFC 2 | later | `a.rs::x`<br>`b.rs::y` |\n";

    #[test]
    fn a_document_is_written_as_it_was_read() {
        let document = Document::parse(TEXT).unwrap();
        assert_eq!(document.text(), TEXT);
        let rows: Vec<_> =
            document.rows().map(|row| (row.id.as_str(), row.due.as_str(), row.tests.len())).collect();
        assert_eq!(rows, [("TP-01", "now", 0), ("TP-02", "later", 2)]);
    }

    #[test]
    fn tests_are_listed_anew() {
        let mut document = Document::parse(TEXT).unwrap();
        let tests = [("TP-01".to_owned(), BTreeSet::from(["c.rs::z".to_owned()]))].into();
        document.set_tests(&tests);
        assert!(document.text().contains("| RFC 1 | now | `c.rs::z` |"));
        assert!(document.text().contains("| RFC 2 | later | |"));
    }

    #[test]
    fn a_row_that_stands_twice_or_is_due_never_is_refused() {
        let row = "| TP-01 | a | MUST | RFC 1 | now | |\n";
        assert!(Document::parse(&[row, row].concat()).is_err());
        assert!(Document::parse("| TP-01 | a | MUST | RFC 1 | never | |\n").is_err());
    }
}
