//! Who signed in, for our pages: from the claims of a validated ID token.

use device_grant_domain::pool::Account;

use crate::id_token::IdToken;

/// The most characters of a name or a detail that are kept: they are shown, and travel in a cookie.
const MOST_SHOWN: usize = 100;

/// The longest id. It is compared, so it is refused rather than cut.
const LONGEST_ID: usize = 512;

/// The account in `token`, or why there is none, in words for an operator.
pub(crate) fn account(token: &IdToken, claim: &str) -> Result<Account, String> {
    let id = token.text(claim).ok_or_else(|| {
        format!("its ID token has no text in the claim {claim:?}, which account_claim names; name one that the pool sends")
    })?;
    if id.len() > LONGEST_ID {
        return Err(format!("the claim {claim:?} of its ID token is longer than {LONGEST_ID} bytes"));
    }
    let texts = |claims: &[&str]| {
        let found: Vec<_> = claims.iter().filter_map(|claim| token.text(claim)).map(shown).collect();
        found.into_iter().filter(|text| !text.is_empty())
    };
    let name = texts(&["name", "preferred_username", "email"]).next();
    let name = name.unwrap_or_else(|| shown(id));
    let mut details = texts(&["email", "preferred_username", "cognito:username", "sub"]);
    let detail = details.find(|detail| *detail != name);
    Ok(Account { id: id.to_owned(), name, detail })
}

/// A text as it may stand on a page: one line, of bearable length, and without characters that reorder the text around
/// them (UAX 9).
fn shown(text: &str) -> String {
    let reorders =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = text.chars().filter(|c| !c.is_control() && !reorders(*c));
    kept.take(MOST_SHOWN).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(claims: Value, claim: &str) -> Result<Account, String> {
        let Value::Object(claims) = claims else { panic!("no object") };
        account(&IdToken::of(claims.into()), claim)
    }

    #[test]
    fn a_name_to_show_is_the_best_there_is() {
        for (claims, name, detail) in [
            (
                json!({ "sub": "s", "name": "Ann", "email": "a@x", "preferred_username": "ann" }),
                "Ann",
                Some("a@x"),
            ),
            (json!({ "sub": "s", "preferred_username": "ann" }), "ann", Some("s")),
            (json!({ "sub": "s", "email": "a@x", "cognito:username": "c" }), "a@x", Some("c")),
            (json!({ "sub": "s", "name": 7 }), "s", None),
            (json!({ "sub": "s", "name": " \u{202e}nnA\u{2066}\n " }), "nnA", Some("s")),
        ] {
            let account = read(claims, "sub").unwrap();
            assert_eq!((account.id.as_str(), account.name.as_str()), ("s", name));
            assert_eq!(account.detail.as_deref(), detail);
        }
        let long = read(json!({ "sub": "s", "name": "n".repeat(5000) }), "sub").unwrap();
        assert_eq!(long.name.len(), MOST_SHOWN);
    }

    #[test]
    fn the_account_claim_must_be_there() {
        assert_eq!(read(json!({ "sub": "s", "oid": "o" }), "oid").unwrap().id, "o");
        for claims in [json!({}), json!({ "oid": 7 }), json!({ "oid": "" })] {
            let reason = read(claims, "oid").unwrap_err();
            assert!(reason.contains("\"oid\"") && reason.contains("account_claim"), "{reason}");
        }
        assert!(read(json!({ "oid": "x".repeat(513) }), "oid").is_err());
    }
}
