//! The `Authorization: Basic` header as OAuth uses it (RFC 6749 section 2.3.1, RFC 7617).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use zeroize::Zeroizing;

use crate::form::decode;
use crate::secret::ClientSecret;

/// The two readings of a Basic header.
///
/// RFC 6749 wants both halves form-encoded before they are joined; many clients send them as they are. The first
/// reading that authenticates counts.
pub struct BasicCredentials {
    /// Halves after form-decoding; absent when an escape in them is broken.
    pub decoded: Option<(String, ClientSecret)>,
    /// Halves exactly as sent.
    pub raw: (String, ClientSecret),
}

/// Credentials that cannot be read: `invalid_client` (CA-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header cannot be read")]
pub struct BrokenCredentials;

impl BasicCredentials {
    /// Reads the value of an `Authorization` header. The scheme is matched without regard to case (CA-01).
    pub fn parse(header: &[u8]) -> Result<Self, BrokenCredentials> {
        let header = std::str::from_utf8(header).map_err(|_| BrokenCredentials)?;
        let (scheme, encoded) = header.split_once(' ').ok_or(BrokenCredentials)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(BrokenCredentials);
        }
        let bytes = BASE64_STANDARD.decode(encoded.trim_start_matches(' ')).map_err(|_| BrokenCredentials)?;
        let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| BrokenCredentials)?);
        let (id, secret) = text.split_once(':').ok_or(BrokenCredentials)?;
        if id.is_empty() {
            return Err(BrokenCredentials);
        }
        let decoded = decode(id.as_bytes()).zip(decode(secret.as_bytes()));
        Ok(Self {
            decoded: decoded.map(|(id, secret)| (id, ClientSecret::new(secret))),
            raw: (id.to_owned(), ClientSecret::new(secret)),
        })
    }

    /// The readings, the standard's first.
    pub fn readings(&self) -> impl Iterator<Item = &(String, ClientSecret)> {
        self.decoded.iter().chain(std::iter::once(&self.raw))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(scheme: &str, halves: &str) -> Vec<u8> {
        format!("{scheme} {}", BASE64_STANDARD.encode(halves)).into_bytes()
    }

    /// CA-01: the scheme's case does not matter.
    #[test]
    fn the_scheme_is_matched_without_regard_to_case() {
        for scheme in ["Basic", "basic", "BASIC"] {
            assert!(BasicCredentials::parse(&header(scheme, "a:b")).is_ok());
        }
    }

    /// CA-02: base64, first colon, then form-decoding; needless escapes are undone; the raw form stays as a fallback.
    #[test]
    fn halves_are_form_decoded_after_the_first_colon() {
        let read = BasicCredentials::parse(&header("Basic", "1PpG%2FQ+1:s%3A%2B%2F%3D%25%C3%BC%2D")).unwrap();
        let (id, secret) = read.decoded.as_ref().unwrap();
        assert_eq!((id.as_str(), secret.expose()), ("1PpG/Q 1", "s:+/=%ü-"));
        assert_eq!(read.raw.0, "1PpG%2FQ+1");
        let colons = BasicCredentials::parse(&header("Basic", "a:b:c")).unwrap();
        assert_eq!(colons.raw.1.expose(), "b:c");
    }

    /// CA-03: what cannot be read is refused, and a broken escape leaves the raw reading only.
    #[test]
    fn broken_credentials_are_refused() {
        for bad in [&b"Basic"[..], b"Basic !!!", b"Bearer abc", b"Digest x", b"\xff"] {
            assert!(BasicCredentials::parse(bad).is_err(), "{bad:?}");
        }
        assert!(BasicCredentials::parse(&header("Basic", "nocolon")).is_err());
        assert!(BasicCredentials::parse(&header("Basic", ":secret")).is_err());
        assert!(
            BasicCredentials::parse(format!("Basic {}", BASE64_STANDARD.encode(b"a:\xff")).as_bytes())
                .is_err()
        );
        assert!(BasicCredentials::parse(&header("Basic", "a:100%")).unwrap().decoded.is_none());
    }

    proptest! {
        /// CA-02: whatever the halves hold, form-encoded they come through, and as they are too.
        #[test]
        fn any_halves_survive_the_way_over_the_wire(id in "\\PC{1,20}", secret in "\\PC{0,40}") {
            let encode = |half: &str| url::form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>();
            let sent = header("Basic", &format!("{}:{}", encode(&id), encode(&secret)));
            let read = BasicCredentials::parse(&sent).unwrap();
            let (decoded, decoded_secret) = read.decoded.as_ref().unwrap();
            prop_assert_eq!((decoded, decoded_secret.expose()), (&id, secret.as_str()));
            prop_assert_eq!((read.raw.0.clone(), read.raw.1.expose().to_owned()), (encode(&id), encode(&secret)));
        }

        /// CA-03: whatever comes, nothing panics.
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = BasicCredentials::parse(&bytes);
            let _ = BasicCredentials::parse(format!("Basic {}", BASE64_STANDARD.encode(&bytes)).as_bytes());
        }
    }
}
