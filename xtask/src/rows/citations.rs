//! Tests that the documents name, as `path::test`: they have to be there.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::workspace::{self, has_extension};

/// The citations in the documents below `root` that lead nowhere, with the document each.
pub(super) fn broken(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut documents = vec![root.join("README.md"), root.join("SECURITY.md")];
    documents.extend(workspace::files(&root.join("docs"), &|path| has_extension(path, "md"))?);
    let mut broken = Vec::new();
    for document in documents {
        let text =
            fs::read_to_string(&document).with_context(|| format!("cannot read {}", document.display()))?;
        for (path, test) in cited(&text) {
            let source = fs::read_to_string(root.join(path)).unwrap_or_default();
            if !has_function(&source, test) {
                let document = document.strip_prefix(root).unwrap_or(&document).display();
                broken.push(format!("{document} names {path}::{test}, which is not there"));
            }
        }
    }
    Ok(broken)
}

fn cited(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter_map(|quoted| quoted.split_once("::")).filter(|(path, test)| {
        has_extension(Path::new(path), "rs")
            && path.contains('/')
            && test.chars().all(|c| c == '_' || c.is_alphanumeric())
    })
}

fn has_function(source: &str, name: &str) -> bool {
    source.match_indices(&format!("fn {name}")).any(|(at, found)| {
        !source[at + found.len()..].starts_with(|next: char| next == '_' || next.is_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cited_is_a_path_and_a_function() {
        let text = "See `a/b.rs::it_holds`, `a/b.rs`, `Type::method` and `file::test`.";
        assert_eq!(cited(text).collect::<Vec<_>>(), [("a/b.rs", "it_holds")]);
        assert!(has_function("async fn it_holds() {", "it_holds"));
        assert!(!has_function("fn it_holds_too() {}", "it_holds"));
    }
}
