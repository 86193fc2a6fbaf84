//! `docs/configuration.md`, from the table of settings.

use std::fmt::Write as _;

use super::keys::{CLIENT, Default, KEYS, Key, Kind, POLICIES};

const HEAD: &str = "\
# Configuration

`device-grant serve --config device-grant.toml` reads a TOML file; without `--config` it reads `device-grant.toml` in the
working directory if there is one. Then the environment is laid over it. Unknown keys are refused, and every problem is
reported at once, with exit code 2. `device-grant init` writes a file to begin with; `device-grant doctor` checks one.

A key `section.name` is set in the environment by `DEVICE_GRANT__SECTION__NAME`. Lists and tables are written there as TOML
has them (`[\"a\", \"b\"]`, `{ a = \"b\" }`) or with commas (`a,b` and `a=b,c=d`); `DEVICE_GRANT__CLIENT` is a list of tables. An
empty variable counts as absent. The variables of the AWS sample work too, below ours and above the file. Paths are relative
to the working directory.

This page is made from the program by `device-grant init --reference`, and a test keeps it fresh.
";

const TAIL: &str = "
## The keyring file

What `device-grant init --keyring FILE` writes: one table for each key. Exactly one key of each purpose is active.
`request` keys seal cookies and mailboxes and hide user codes; `durable` keys seal refresh tokens, so losing one ends every
login that rests on it. Keys are rotated with `device-grant key`, see [keys.md](keys.md); a running server looks at the file
every ten seconds.

```toml
[[key]]
number = 1               # 0 to 255, never used twice
purpose = \"request\"      # or \"durable\"
active = true            # seals new things; inactive keys only open
activated_at = 1767225600  # when it became active, in seconds since 1970; `device-grant key activate` writes it
secret = \"…\"             # 32 random bytes in base64url without padding
```
";

/// The page.
pub(crate) fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut section = None;
    for key in KEYS {
        if section != Some(key.section()) {
            section = Some(key.section());
            page.push_str(&heading(key.section()));
        }
        let from = sources(key);
        writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            key.name(),
            cell(&key.expected_in_words()),
            cell(&default(key)),
            cell(&[key.meaning, &from].join(""))
        )
        .expect("writing to a string cannot fail");
    }
    page.push_str(TAIL);
    page
}

fn heading(section: &str) -> String {
    let title = match section {
        "" => "At the top".to_owned(),
        CLIENT => "`[[client]]`".to_owned(),
        POLICIES => "`[client.policies]`, below its `[[client]]`".to_owned(),
        other => format!("`[{other}]`"),
    };
    format!("\n## {title}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n")
}

fn sources(key: &Key) -> String {
    // `public_url` tells of its variable in its own words.
    key.sample
        .filter(|_| key.path != "public_url")
        .map(|name| format!(" The sample's `{name}`."))
        .unwrap_or_default()
}

fn default(key: &Key) -> String {
    match key.default {
        Default::None => String::new(),
        Default::Text(text) => format!("`\"{text}\"`"),
        Default::Whole(number) => format!("`{number}`"),
        Default::Flag(flag) => format!("`{flag}`"),
        Default::Texts(texts) => format!("`{texts:?}`"),
    }
}

impl Key {
    fn expected_in_words(&self) -> String {
        match self.kind {
            Kind::OneOf(words, _) => {
                words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
            }
            Kind::Whole(min, max) => format!("{min} to {max}"),
            Kind::Secret => "text, secret".to_owned(),
            _ => self.expected(),
        }
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_fresh() {
        let page = include_str!("../../../../docs/configuration.md");
        let hint = "cargo run -- init --reference > docs/configuration.md";
        assert!(page == reference(), "docs/configuration.md is not what the table says: {hint}");
    }

    #[test]
    fn every_key_has_a_row() {
        let page = reference();
        for key in KEYS {
            assert!(page.contains(&format!("| `{}` |", key.name())), "{}", key.path);
        }
    }
}
