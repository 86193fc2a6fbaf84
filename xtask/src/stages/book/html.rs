//! What a rendered page has of ids, and of addresses that it loads or leads to.

use std::collections::BTreeSet;

/// A page, as far as links go.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What links can lead to within the page.
    pub(super) ids: BTreeSet<String>,
    /// Where it leads, and what it loads.
    pub(super) links: Vec<Link>,
}

/// An address in a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The address, as it stands there.
    pub(super) address: String,
    /// Whether a browser fetches it by itself.
    pub(super) is_loaded: bool,
}

impl Page {
    /// Reads tags and their attributes. Text, comments, scripts and styles hold none, whatever they look like.
    pub(super) fn parse(html: &str) -> Self {
        let mut page = Self::default();
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                rest = after(comment, "-->");
                continue;
            }
            let name_ends = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (name, attributes) = rest.split_at(name_ends);
            rest = page.take(name, attributes);
            if name == "script" || name == "style" {
                rest = after(rest, &format!("</{name}"));
            }
        }
        page
    }

    /// Takes the attributes of one tag; what is behind the tag is left.
    fn take<'a>(&mut self, tag: &str, attributes: &'a str) -> &'a str {
        let mut rest = attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if let Some(behind) = rest.strip_prefix('>') {
                return behind;
            }
            let name_ends = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c));
            let Some(name_ends) = name_ends else { return "" };
            // Something that is no name, such as the second of two quotes: it is passed over.
            let (name, behind) = rest.split_at(name_ends.max(rest.chars().next().map_or(0, char::len_utf8)));
            let (value, behind) = value(behind);
            rest = behind;
            match (tag, name) {
                (_, "id") => {
                    self.ids.insert(unescaped(value));
                }
                // It only says what the others are relative to.
                ("base", _) => {}
                (_, "src") | ("link", "href") => self.link(value, true),
                (_, "href") => self.link(value, false),
                _ => {}
            }
        }
    }

    fn link(&mut self, address: &str, is_loaded: bool) {
        self.links.push(Link { address: unescaped(address), is_loaded });
    }
}

/// The value of an attribute, and what is behind it.
fn value(behind_name: &str) -> (&str, &str) {
    let Some(written) = behind_name.strip_prefix('=') else { return ("", behind_name) };
    for quote in ['"', '\''] {
        if let Some(quoted) = written.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    written.split_at(written.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(written.len()))
}

fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or("", |(_, behind)| behind)
}

fn unescaped(value: &str) -> String {
    let value = value.replace("&quot;", "\"").replace("&#39;", "'").replace("&#x27;", "'");
    value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(html: &str) -> Vec<String> {
        Page::parse(html).links.into_iter().map(|link| link.address).collect()
    }

    #[test]
    fn ids_and_addresses_are_found() {
        let page =
            Page::parse("<h1 id=\"a\">A</h1><p class='x' id=b><a href='c.html#d' title=\"t\">c</a><br/></p>");
        assert_eq!(page.ids.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(page.links, [Link { address: "c.html#d".to_owned(), is_loaded: false }]);
    }

    #[test]
    fn what_a_browser_fetches_is_told_from_what_a_person_follows() {
        let html = "<link rel=\"stylesheet\" href=\"s.css\"><img src=\"p.png\" alt=\"\"><a href=\"https://x.example\">x</a>";
        let loaded: Vec<bool> = Page::parse(html).links.iter().map(|link| link.is_loaded).collect();
        assert_eq!(loaded, [true, true, false]);
    }

    #[test]
    fn what_only_looks_like_a_link_is_none() {
        for html in [
            "<!-- <a href=\"x\"> -->",
            "<script>var s = '<a href=\"x\">';</script>",
            "<style>a::after { content: '<a href=x>' }</style>",
            "<pre><code>&lt;a href=\"x\"&gt;</code></pre>",
            "<p data-href=\"x\">href=\"x\"</p>",
            "<base href=\"/\">",
        ] {
            assert!(addresses(html).is_empty(), "{html}");
        }
        assert_eq!(addresses("<script src=\"s.js\"></script><a href=\"a&amp;b\">"), ["s.js", "a&b"]);
    }

    #[test]
    fn broken_markup_ends_the_reading_and_nothing_else() {
        for html in
            ["<", "<a", "<a href", "<a href=", "<a href=\"x", "<a \"\" href='y'>", "<ä>", "</a", "<a ä"]
        {
            let _ = addresses(html);
        }
        assert_eq!(addresses("<a \"\" href='y'>"), ["y"]);
    }
}
