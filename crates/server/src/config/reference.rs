//! `docs/configuration.md`, from the table of settings.

use std::fmt::Write as _;
use std::time::Duration;

use device_grant_domain::codes::MAX_GROWTH;
use device_grant_domain::request::{MAX_ATTEMPTS, REDEEM_GRACE, REMEMBERED_FOR};
use device_grant_domain::{MAX_INTERVAL, MAX_PAYLOAD, SLOW_DOWN_STEP, TRIP_LIFE, USER_CODE_COOL_DOWN};
use device_grant_upstream::OidcPoolConfig;
use device_grant_web::{DEADLINE, MAX_BODY, MAX_DEVICE_CODE};

use super::keys::{CLIENT, Default, KEYS, Key, Kind, POLICIES};
use crate::listen::MAX_HEAD;

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
    page.push_str(&fixed());
    page.push_str(TAIL);
    page
}

/// Numbers that nobody sets.
fn fixed() -> String {
    let (kb, seconds) =
        (|bytes: usize| format!("{} kB", bytes / 1024), |time: Duration| format!("{} s", time.as_secs()));
    let pool = OidcPoolConfig::new("https://pool.example");
    let rows = [
        ("The head of a request, cookies included", kb(MAX_HEAD), "414 or 431"),
        ("The body of a request", kb(MAX_BODY), "400"),
        ("A `device_code` that is sent", format!("{MAX_DEVICE_CODE} characters"), "`invalid_grant`"),
        ("A request, from its body to its answer", seconds(DEADLINE), "503"),
        (
            "The pace that `slow_down` grows by, and to",
            format!("{SLOW_DOWN_STEP} s, {MAX_INTERVAL} s"),
            "a device is never told to wait longer",
        ),
        ("A trip to the pool and back", seconds(TRIP_LIFE), "the person begins again"),
        ("Trips that one request may use up", MAX_ATTEMPTS.to_string(), "the device starts again"),
        (
            "How much longer than an interval tokens wait that were approved in the last moment",
            seconds(REDEEM_GRACE),
            "`expired_token`",
        ),
        (
            "How long an ended request is still known as `expired_token`",
            seconds(REMEMBERED_FOR),
            "`invalid_grant`",
        ),
        (
            "How long a user code rests before it comes again",
            seconds(USER_CODE_COOL_DOWN),
            "another is drawn",
        ),
        ("Groups by which user codes grow under attack", MAX_GROWTH.to_string(), ""),
        ("A sealed token set", kb(MAX_PAYLOAD), "the person is told, and the tokens are revoked"),
        ("An answer of the pool", kb(pool.answer_limit), "as if the pool were away"),
        (
            "Calls to the pool at once, on each replica",
            pool.max_parallel_calls.to_string(),
            "further ones wait, within `upstream.timeout_s`",
        ),
        ("A connection to the pool", seconds(pool.connect_timeout), "it is tried again, as nothing was sent"),
    ];
    let mut text = "\n## What is no setting\n\n| what | most | beyond it |\n| --- | --- | --- |\n".to_owned();
    for (what, most, beyond) in rows {
        writeln!(text, "| {what} | {most} | {beyond} |").expect("writing to a string cannot fail");
    }
    text
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
