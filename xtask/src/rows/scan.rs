//! Finds the tests that name rows: in Rust a doc comment, in Go a comment, that starts with the ids.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::TestsByRow;
use crate::workspace::{self, has_extension};

/// The tests of each row in `crates/` and `tests/`.
pub(super) fn tests_by_row(root: &Path) -> anyhow::Result<TestsByRow> {
    let mut rows = TestsByRow::new();
    let mut files = Vec::new();
    for directory in ["crates", "tests"] {
        files.extend(workspace::files(&root.join(directory), &is_source)?);
    }
    let mut suites = Vec::new();
    let mut texts = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let path = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        if is_suite(&path) {
            suites.push(text.clone());
        }
        texts.push((path, text));
    }
    for (path, text) in &texts {
        for found in named_functions(text) {
            let counts = found.is_test || is_suite(path) && is_called(&found.name, &suites);
            for id in found.rows.iter().filter(|_| counts) {
                rows.entry(id.clone()).or_default().insert(format!("{path}::{}", found.name));
            }
        }
    }
    Ok(rows)
}

fn is_source(path: &Path) -> bool {
    has_extension(path, "rs") || path.to_string_lossy().ends_with("_test.go")
}

/// The id of a row (`TP-05`) that `text` starts with.
pub(super) fn row_id(text: &str) -> Option<&str> {
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let id = text.get(..letters + 3)?;
    let digits = id[letters..].strip_prefix('-')?;
    let ends = !text[id.len()..].starts_with(|next: char| next.is_ascii_alphanumeric());
    ((2..=3).contains(&letters) && digits.bytes().all(|byte| byte.is_ascii_digit()) && ends).then_some(id)
}

/// A suite's functions are run by the tests of whatever implements the port, so they count where the suite calls them.
fn is_suite(path: &str) -> bool {
    path.starts_with("crates/testkit/src/") && path.contains("suite")
}

/// Whether the suites name the function somewhere else than where it is defined.
fn is_called(name: &str, suites: &[String]) -> bool {
    let is_name = |text: &str, at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        ![before, after].into_iter().flatten().any(|next| next == '_' || next.is_alphanumeric())
    };
    let uses = |text: &String| text.match_indices(name).filter(|(at, _)| is_name(text, *at)).count();
    suites.iter().map(uses).sum::<usize>() > 1
}

/// A function whose comment starts with rows.
struct Named {
    name: String,
    rows: Vec<String>,
    is_test: bool,
}

fn named_functions(text: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut comment = String::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///").or_else(|| line.strip_prefix("// ")) {
            comment.push_str(words.trim());
            comment.push(' ');
        } else if line.starts_with("#[") {
            is_test |= ["#[test]", "#[tokio::test"].iter().any(|attribute| line.starts_with(attribute));
        } else if let Some(name) = function_name(line) {
            let is_test = is_test || line.starts_with("func Test");
            let rows = leading_rows(comment.trim());
            if !rows.is_empty() {
                found.push(Named { name, rows, is_test });
            }
            comment.clear();
        } else if !is_inside_attribute(line) {
            comment.clear();
        }
        if comment.is_empty() {
            is_test = false;
        }
    }
    found
}

/// The rest of an attribute of several lines, which stands between a comment and its function.
fn is_inside_attribute(line: &str) -> bool {
    line.ends_with(")]") || line.starts_with("reason =") || line.starts_with("clippy::")
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| !matches!(*word, "fn" | "func"));
    let before_is_modifier = line.split_whitespace().take_while(|word| !matches!(*word, "fn" | "func"));
    if !before_is_modifier
        .into_iter()
        .all(|word| word.starts_with("pub") || matches!(word, "async" | "const"))
    {
        return None;
    }
    words.next()?;
    let name = words.next()?.split(['(', '<']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The ids at the start of a comment: `TP-05, TP-06: …`, `CA-01 to CA-03 …`, `TP-01 and TP-02 …`.
fn leading_rows(comment: &str) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    let mut rest = comment;
    let mut is_range = false;
    while let Some(id) = row_id(rest) {
        if is_range {
            rows.extend(range_up_to(rows.last(), id));
        }
        rows.push(id.to_owned());
        rest = &rest[id.len()..];
        is_range = rest.starts_with(" to ");
        let joint = [", ", " and ", " to "].into_iter().find_map(|joint| rest.strip_prefix(joint));
        let Some(next) = joint else { break };
        rest = next;
    }
    rows
}

/// The ids strictly between two of the same table.
fn range_up_to(first: Option<&String>, last: &str) -> Vec<String> {
    let parts = |id: &str| {
        id.split_once('-').and_then(|(table, number)| Some((table.to_owned(), number.parse::<u8>().ok()?)))
    };
    match (first.and_then(|id| parts(id)), parts(last)) {
        (Some((table, from)), Some((same, to))) if table == same => {
            (from + 1..to).map(|number| format!("{table}-{number:02}")).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String, bool)> {
        named_functions(text)
            .into_iter()
            .map(|named| (named.name, named.rows.join(" "), named.is_test))
            .collect()
    }

    #[test]
    fn ids_at_the_start_of_a_doc_comment_belong_to_the_test_below() {
        let text = "/// TP-05, TP-06: a sentence that\n/// goes on with CA-01.\n#[tokio::test]\nasync fn a_poll_waits() {}\n\
            /// See TP-01.\n#[test]\nfn no_row() {}\n/// CA-01 to CA-03 and UC-01 hold.\n#[test]\n#[expect(\n\
            clippy::x,\nreason = \"y\"\n)]\nfn several() {}\n/// TP-09: a helper.\nfn helper() {}";
        let expected = [
            ("a_poll_waits".to_owned(), "TP-05 TP-06".to_owned(), true),
            ("several".to_owned(), "CA-01 CA-02 CA-03 UC-01".to_owned(), true),
            ("helper".to_owned(), "TP-09".to_owned(), false),
        ];
        assert_eq!(found(text), expected);
    }

    #[test]
    fn an_attribute_marks_only_the_function_right_below_it() {
        let text = "#[test]\nfn one() {}\n\n/// TP-01: two.\nfn two() {}\n/// TP-02: gone\n\nstruct X;\n#[test]\nfn three() {}";
        assert_eq!(found(text), [("two".to_owned(), "TP-01".to_owned(), false)]);
    }

    #[test]
    fn go_tests_name_rows_in_their_comment() {
        let text = "// TP-07: a strict client.\nfunc TestLogin(t *testing.T) {\n}\n";
        assert_eq!(found(text), [("TestLogin".to_owned(), "TP-07".to_owned(), true)]);
    }

    #[test]
    fn an_id_is_two_or_three_letters_and_two_digits() {
        assert_eq!(row_id("SEC-01: x"), Some("SEC-01"));
        for other in ["SHA-256", "RFC-1", "TP-5", "tp-05", "UTF-8", "T-01", "TP-05a", "ÄÖ-05", ""] {
            assert_eq!(row_id(other), None, "{other}");
        }
    }

    #[test]
    fn a_suite_function_counts_only_where_the_suite_calls_it() {
        let suites = ["pub async fn race(store: &S) {}\nfn races() { race(store); other_race() }".to_owned()];
        assert!(is_called("race", &suites));
        assert!(!is_called("other_race", &suites));
    }
}
