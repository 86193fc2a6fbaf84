//! Links within the book, with their anchors. Where other places on the network lead is not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;

use super::html::{Link, Page};
use crate::workspace::{self, has_extension};

/// A rendered book: its pages, and everything that lies beside them.
#[derive(Debug, Default)]
pub(super) struct Book {
    pages: BTreeMap<PathBuf, Page>,
    files: BTreeSet<PathBuf>,
}

impl Book {
    /// Reads what mdBook has written into `directory`.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut book = Self::default();
        for path in workspace::files(directory, &|_| true)? {
            let name = path.strip_prefix(directory).unwrap_or(&path).to_owned();
            if has_extension(&path, "html") {
                let html =
                    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                book.pages.insert(name.clone(), Page::parse(&html));
            }
            book.files.insert(name);
        }
        Ok(book)
    }

    /// How many links there are.
    pub(super) fn links(&self) -> usize {
        self.pages.values().map(|page| page.links.len()).sum()
    }

    /// The links that lead nowhere, with the page each, and what is loaded from elsewhere.
    pub(super) fn broken_links(&self) -> Vec<String> {
        let links =
            self.pages.iter().flat_map(|(name, page)| page.links.iter().map(move |link| (name, link)));
        let broken = links.filter_map(|(name, link)| {
            let fault = self.fault(name, link)?;
            Some(format!("{}: {} {fault}", name.display(), link.address))
        });
        broken.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn fault(&self, from: &Path, link: &Link) -> Option<&'static str> {
        if leads_out(&link.address) {
            return link.is_loaded.then_some("is loaded from elsewhere");
        }
        let (path, anchor) = link.address.split_once('#').unwrap_or((&link.address, ""));
        let Some(target) = resolved(from, path) else { return Some("leads out of the book") };
        let target = if path.is_empty() { from.to_owned() } else { target };
        let index = target.join("index.html");
        let target = if self.files.contains(&index) { index } else { target };
        if !self.files.contains(&target) {
            return Some("is not there");
        }
        let page = self.pages.get(&target).filter(|_| !anchor.is_empty())?;
        (!page.ids.contains(anchor)).then_some("has no such place")
    }
}

/// Whether an address has a scheme, or a host.
fn leads_out(address: &str) -> bool {
    let scheme = address.split(['/', '#', '?']).next().unwrap_or_default();
    address.starts_with("//") || scheme.contains(':')
}

/// The file that `path` means on the page `from`; none above the book.
fn resolved(from: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split('?').next().unwrap_or_default();
    let mut target = from.parent().unwrap_or(Path::new("")).to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::ParentDir => {
                if !target.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            // The book may lie anywhere on a server.
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(pages: &[(&str, &str)]) -> Vec<String> {
        let mut book = Book::default();
        for (name, html) in pages {
            book.pages.insert(name.into(), Page::parse(html));
            book.files.insert(name.into());
        }
        book.files.insert("p.png".into());
        book.broken_links()
    }

    #[test]
    fn a_link_to_a_page_that_is_not_there_is_broken() {
        let good = broken(&[("a.html", "<a href=\"b/c.html\">"), ("b/c.html", "<a href=\"../a.html\">")]);
        assert!(good.is_empty(), "{good:?}");
        assert_eq!(broken(&[("a.html", "<a href=\"b.html\">")]), ["a.html: b.html is not there"]);
        assert_eq!(broken(&[("a.html", "<img src=\"q.png\">")]), ["a.html: q.png is not there"]);
        assert_eq!(broken(&[("b/a.html", "<a href=\"p.png\">")]), ["b/a.html: p.png is not there"]);
        assert!(broken(&[("b/a.html", "<a href=\"../p.png\">")]).is_empty());
    }

    #[test]
    fn a_link_to_an_anchor_that_is_not_there_is_broken() {
        let other = ("b.html", "<h2 id=\"here\">");
        assert!(
            broken(&[("a.html", "<a href=\"b.html#here\"><a href=\"#me\"><p id=\"me\">"), other]).is_empty()
        );
        assert_eq!(
            broken(&[("a.html", "<a href=\"b.html#gone\">"), other]),
            ["a.html: b.html#gone has no such place"]
        );
        assert_eq!(broken(&[("a.html", "<a href=\"#gone\">")]), ["a.html: #gone has no such place"]);
    }

    #[test]
    fn a_directory_means_its_index() {
        let index = ("rfc/index.html", "<h1 id=\"top\">");
        assert!(broken(&[("a.html", "<a href=\"rfc/#top\"><a href=\"rfc/index.html\">"), index]).is_empty());
        assert_eq!(broken(&[("a.html", "<a href=\"rfc/#x\">"), index]), ["a.html: rfc/#x has no such place"]);
    }

    #[test]
    fn nothing_leads_above_the_book_and_nothing_is_loaded_from_elsewhere() {
        assert_eq!(
            broken(&[("a.html", "<a href=\"../x.html\">")]),
            ["a.html: ../x.html leads out of the book"]
        );
        assert_eq!(broken(&[("a.html", "<a href=\"/x.html\">")]), ["a.html: /x.html leads out of the book"]);
        for address in ["https://x.example/s.js", "//x.example/s.js"] {
            assert!(broken(&[("a.html", &format!("<a href=\"{address}\">"))]).is_empty());
            let loaded = broken(&[("a.html", &format!("<script src=\"{address}\"></script>"))]);
            assert_eq!(loaded, [format!("a.html: {address} is loaded from elsewhere")]);
        }
    }
}
