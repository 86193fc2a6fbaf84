//! Client authentication: `client_secret_basic`, `client_secret_post`, `none` (RFC 6749 §2.3).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::error::OAuthError;
use crate::config::DevClient;
use crate::params::Params;
use crate::pool::DevPool;

/// The form of a request whose client has proved who it is.
pub(super) struct Authenticated<'a> {
    pub(super) client: &'a DevClient,
    pub(super) form: Params,
}

/// Reads the form, and the client's credentials from it or from `Authorization`, but never from both.
pub(super) fn authenticate<'a>(
    pool: &'a DevPool,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Authenticated<'a>, OAuthError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(OAuthError::invalid_request("the body must be a form"));
    }
    let form = Params::parse_once(body).map_err(|_| OAuthError::invalid_request("a parameter came twice"))?;
    let basic = basic_credentials(headers)?;
    let named = form.value("client_id");
    let (client_id, secret) = match &basic {
        Some(_) if form.value("client_secret").is_some() => {
            return Err(OAuthError::invalid_request("two ways of client authentication at once"));
        }
        Some((client_id, _)) if named.is_some_and(|named| named != client_id) => {
            return Err(OAuthError::invalid_request("client_id differs from the one in Authorization"));
        }
        Some((client_id, secret)) => (client_id.as_str(), Some(secret.as_str())),
        None => {
            let named = named.ok_or_else(|| OAuthError::invalid_client("no client authentication"))?;
            (named, form.value("client_secret"))
        }
    };
    let client = pool.client(client_id).ok_or_else(|| OAuthError::invalid_client("unknown client"))?;
    let is_proved = match (pool.secrets(client).as_slice(), secret) {
        ([], None) => true,
        (known, Some(shown)) => {
            known.iter().any(|known| verify_slices_are_equal(known.as_bytes(), shown.as_bytes()).is_ok())
        }
        (_, None) => false,
    };
    if !is_proved {
        return Err(OAuthError::invalid_client("client authentication failed"));
    }
    Ok(Authenticated { client, form })
}

/// The id and secret in a Basic header, each form-decoded as RFC 6749 §2.3.1 says. Strict: what is not
/// form-encoded is refused, so that a client that sends its secret raw is found out.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed = || OAuthError::invalid_client("malformed Authorization header");
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("two Authorization headers"));
    }
    let (scheme, encoded) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let pair = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = pair.ok_or_else(malformed)?;
    let (id, secret) = pair.split_once(':').ok_or_else(malformed)?;
    let decoded = strict_form_decode(id).zip(strict_form_decode(secret)).ok_or_else(malformed)?;
    Ok(Some(decoded))
}

/// Decodes what an encoder of `application/x-www-form-urlencoded` can have made, and nothing else.
fn strict_form_decode(encoded: &str) -> Option<String> {
    let bytes = encoded.as_bytes();
    let well_formed = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b'*' | b'-' | b'.' | b'_' | b'~' | b'+' => true,
        byte => byte.is_ascii_alphanumeric(),
    });
    if !well_formed {
        return None;
    }
    percent_decode_str(&encoded.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::strict_form_decode;

    #[test]
    fn only_form_encoded_credentials_are_decoded() {
        assert_eq!(strict_form_decode("a%2Bb%2F%3A%25+c").as_deref(), Some("a+b/:% c"));
        for raw in ["a/b", "a:b", "100%", "a%2", "%zz", "ä", "%ff", "a b"] {
            assert_eq!(strict_form_decode(raw), None, "{raw}");
        }
    }
}
