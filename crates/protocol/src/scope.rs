use std::fmt;

use serde::{Deserialize, Serialize};

/// A list of scope tokens in the order they were asked for, without repeats (RFC 6749 section 3.3).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<String>);

/// A scope that does not follow the grammar of RFC 6749 section 3.3: tokens of visible ASCII without `"` and `\`,
/// separated by single spaces, at most [`Scope::MAX_LEN`] characters in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scope is malformed (RFC 6749 section 3.3)")]
pub struct InvalidScope;

impl Scope {
    /// The most characters a `scope` parameter may have.
    pub const MAX_LEN: usize = 1024;

    /// The tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// True when nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `token` is among them, byte for byte (HI-12).
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|own| own == token)
    }

    /// Whether each of these tokens is also in `ceiling`.
    pub fn within(&self, ceiling: &Self) -> bool {
        self.tokens().all(|token| ceiling.contains(token))
    }

    /// These tokens and then those of `other` that are not among them.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(other.0.iter().filter(|token| !self.contains(token)).cloned());
        Self(all)
    }

    /// The tokens that `keep` agrees to.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|token| keep(token)).cloned().collect())
    }
}

/// Two scopes are equal when they hold the same tokens: their order says nothing (RFC 6749 section 3.3).
impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.within(other) && other.within(self)
    }
}

impl Eq for Scope {}

impl std::str::FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(value: &str) -> Result<Self, InvalidScope> {
        if value.len() > Self::MAX_LEN {
            return Err(InvalidScope);
        }
        let mut tokens: Vec<String> = Vec::new();
        for token in value.split(' ').filter(|_| !value.is_empty()) {
            let well_formed =
                !token.is_empty() && token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
            if !well_formed {
                return Err(InvalidScope);
            }
            if !tokens.iter().any(|known| known == token) {
                tokens.push(token.to_owned());
            }
        }
        Ok(Self(tokens))
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidScope;

    fn try_from(value: String) -> Result<Self, InvalidScope> {
        value.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// DA-09: quotes, backslashes, control characters and doubled spaces are no scope.
    #[test]
    fn malformed_scopes_are_refused() {
        for bad in ["a\"b", "a\\b", "a  b", " a", "a ", "é", "a\tb", "a\n"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(1025).parse::<Scope>().is_err());
    }

    /// HI-12: scope values are compared byte for byte.
    #[test]
    fn case_tells_scopes_apart() {
        let scope: Scope = "openid Profile".parse().unwrap();
        assert!(!scope.contains("profile"));
    }

    #[test]
    fn order_and_repeats_say_nothing() {
        assert_eq!("a b a".parse::<Scope>().unwrap(), "b a".parse().unwrap());
    }

    proptest! {
        /// DA-09: what is taken has one form, which is taken again and says the same.
        #[test]
        fn a_scope_has_one_form(text in "([!#-\\[\\]-~]{1,6}|[a-c]| ){0,12}|\\PC{0,20}") {
            if let Ok(scope) = text.parse::<Scope>() {
                let written = scope.to_string();
                let again: Scope = written.parse().unwrap();
                prop_assert_eq!(again.to_string(), written);
                prop_assert!(text.split(' ').filter(|token| !token.is_empty()).all(|token| again.contains(token)));
                prop_assert!(again.within(&scope) && scope.within(&again));
            }
        }
    }
}
