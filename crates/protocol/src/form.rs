//! Parameters of a request, read strictly (RFC 6749 section 3.1 and 3.2, appendix B).

use zeroize::Zeroizing;

/// The parameters of one body, or of one query.
///
/// An empty value counts as absent (DA-08); a name that comes twice is refused even if one copy is empty (HI-05).
#[derive(Default)]
pub struct Params(Vec<(String, Zeroizing<String>)>);

/// What is wrong with a list of parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A percent escape is broken, or the bytes behind it are not UTF-8.
    #[error("a parameter is not form-encoded UTF-8")]
    NotUtf8,
    /// A name stands there more than once.
    #[error("the parameter {0} is given more than once")]
    Repeated(String),
    /// More than [`Params::MAX_COUNT`] parameters.
    #[error("too many parameters")]
    TooMany,
}

impl Params {
    /// The most parameters one request may carry.
    pub const MAX_COUNT: usize = 64;

    /// Reads an `application/x-www-form-urlencoded` text: a body, or the query of a URL.
    pub fn parse(encoded: &[u8]) -> Result<Self, FormError> {
        let mut params = Self::default();
        for pair in encoded.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|&b| b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[..0]),
            };
            let name = decode(name).ok_or(FormError::NotUtf8)?;
            let value = decode(value).ok_or(FormError::NotUtf8)?;
            params.push(name, Zeroizing::new(value))?;
        }
        Ok(params)
    }

    /// The value of `name`, if it is there and not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether `name` was written at all, empty or not.
    pub fn mentions(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// The names, in the order in which they came.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    fn push(&mut self, name: String, value: Zeroizing<String>) -> Result<(), FormError> {
        if self.mentions(&name) {
            return Err(FormError::Repeated(printable(&name)));
        }
        if self.0.len() == Self::MAX_COUNT {
            return Err(FormError::TooMany);
        }
        self.0.push((name, value));
        Ok(())
    }
}

/// Names come from strangers and go into `error_description`, whose alphabet is small (RFC 6749 section 5.2).
fn printable(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).take(40).collect()
}

/// Undoes form encoding: `+` is a space, `%XX` a byte, and the whole is UTF-8. `None` if it is not.
pub(crate) fn decode(encoded: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(encoded: &[u8]) -> FormError {
        Params::parse(encoded).err().expect("refused")
    }

    /// HI-04: broken escapes and bytes that are not UTF-8 are refused, not replaced.
    #[test]
    fn what_is_not_utf8_is_refused() {
        for bad in [&b"a=%FF"[..], b"a=%G1", b"a=%", b"a=%1", b"%C0%80=x", b"a=\xff"] {
            assert_eq!(refused(bad), FormError::NotUtf8, "{bad:?}");
        }
    }

    /// HI-05, DA-08: a repeated name is refused even if one copy is empty or the copies are equal.
    #[test]
    fn a_repeated_name_is_refused() {
        for bad in [&b"scope=&scope=x"[..], b"a=1&a=1", b"a&a=", b"%61=1&a=2"] {
            assert!(matches!(refused(bad), FormError::Repeated(_)), "{bad:?}");
        }
    }

    /// DA-08: an empty value counts as absent.
    #[test]
    fn an_empty_value_is_absent() {
        let params = Params::parse(b"scope=&client_id=a").unwrap();
        assert_eq!(params.value("scope"), None);
        assert!(params.mentions("scope"));
        assert_eq!(params.value("client_id"), Some("a"));
    }

    proptest! {
        #[test]
        fn any_value_survives_the_way_over_the_wire(name in "[a-z]{1,8}", value in "\\PC{0,40}") {
            let encoded = url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let params = Params::parse(encoded.as_bytes()).unwrap();
            prop_assert_eq!(params.value(&name).unwrap_or(""), value);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Params::parse(&bytes);
        }
    }
}
