//! The pool's token endpoint as far as every grant shares it (RFC 6749 sections 2.3.1, 5.1 and 5.2).

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use device_grant_domain::pool::{PoolClient, PoolSecret};
use device_grant_domain::strict_json;
use device_grant_protocol::{
    AccessToken, AuthMethod, ClientSecret, IdToken, RefreshToken, Scope, TokenResponse, token_type,
};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::http::{Answer, CallError};

/// Why a token request brought no tokens. Words never quote the pool: of its errors only codes that are known here
/// are repeated (UP-08).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The pool's `invalid_grant`.
    InvalidGrant,
    /// The pool's `invalid_scope`.
    InvalidScope,
    /// The pool refuses this service itself.
    OurCredentials,
    /// The pool is away, throttles, or has a fault of its own.
    Away(String),
    /// What no working pool answers.
    Nonsense(String),
}

/// The secret that `client` has now.
pub(crate) fn secret(client: &PoolClient) -> Option<Arc<ClientSecret>> {
    client.secret.as_ref().and_then(PoolSecret::present)
}

/// What authenticates `client`, whose secret this is: members of `form`, or the value of the `Authorization` header, never
/// both.
pub(crate) fn authenticate<'a>(
    client: &'a PoolClient,
    secret: Option<&'a ClientSecret>,
    form: &mut Vec<(&'static str, &'a str)>,
) -> Option<HeaderValue> {
    match (client.auth_method, secret) {
        (AuthMethod::ClientSecretBasic, Some(secret)) => Some(basic(&client.client_id, secret)),
        (AuthMethod::ClientSecretPost, Some(secret)) => {
            form.push(("client_id", &client.client_id));
            form.push(("client_secret", secret.expose()));
            None
        }
        // No pool client is registered with keys of ours.
        (AuthMethod::None | AuthMethod::PrivateKeyJwt, _) | (_, None) => {
            form.push(("client_id", &client.client_id));
            None
        }
    }
}

/// Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic(client_id: &str, secret: &ClientSecret) -> HeaderValue {
    let encoded = |half: &str| form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
    let value = format!("Basic {}", BASE64_STANDARD.encode(joined));
    // The base64 alphabet is valid in a header.
    let mut value = HeaderValue::try_from(value).expect("base64 fits into a header");
    value.set_sensitive(true);
    value
}

/// The members of a successful token response, or what went wrong.
pub(crate) fn members(outcome: Result<Answer, CallError>) -> Result<Map<String, Value>, Trouble> {
    let answer = outcome.map_err(|error| match error {
        CallError::TooLarge(_) => Trouble::Nonsense(error.to_string()),
        other => Trouble::Away(other.to_string()),
    })?;
    if answer.status != StatusCode::OK {
        return Err(refusal(&answer));
    }
    if !answer.is_json {
        return Err(Trouble::Nonsense("its token response is not JSON by its type".to_owned()));
    }
    strict_json::object(&answer.body)
        .ok_or_else(|| Trouble::Nonsense("its token response is no plain JSON object".to_owned()))
}

fn refusal(answer: &Answer) -> Trouble {
    let status = answer.status;
    let says = || format!("it answers {}", status.as_u16());
    let away = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    if status.is_server_error() || away.contains(&status) {
        return Trouble::Away(says());
    }
    if status.is_redirection() {
        return Trouble::Nonsense(format!("{}, and redirects are not followed", says()));
    }
    let code = if status.is_client_error() { error_code(&answer.body) } else { None };
    match code.as_deref() {
        Some("invalid_grant") => Trouble::InvalidGrant,
        Some("invalid_scope") => Trouble::InvalidScope,
        Some("invalid_client" | "unauthorized_client") => Trouble::OurCredentials,
        // RFC 6749 section 5.2: this status is for clients that did not authenticate.
        None if status == StatusCode::UNAUTHORIZED => Trouble::OurCredentials,
        Some(code @ ("temporarily_unavailable" | "server_error")) => {
            Trouble::Away(format!("{} {code}", says()))
        }
        Some(code @ ("invalid_request" | "unsupported_grant_type" | "access_denied" | "invalid_target")) => {
            Trouble::Nonsense(format!("{} {code}", says()))
        }
        Some(_) => Trouble::Nonsense(format!("{} with an error code that is not known", says())),
        None => Trouble::Nonsense(says()),
    }
}

/// The `error` of RFC 6749 section 5.2.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    members.get("error")?.as_str().map(str::to_owned)
}

/// Writes down that the pool does not know this service any more: nothing works until somebody mends it (UP-08).
/// Tells an operator, and whoever can have another secret; says whether somebody can.
pub(crate) fn alarm(client: &PoolClient) -> bool {
    tracing::error!(
        client_id = client.client_id,
        "the pool refuses our client credentials; check the client's id, secret and authentication method"
    );
    client.secret.as_ref().is_some_and(PoolSecret::refuse)
}

/// The refresh token in a token response, whatever else is wrong with it.
pub(crate) fn refresh_token(members: &Map<String, Value>) -> Option<RefreshToken> {
    text(members, "refresh_token").map(RefreshToken::new)
}

/// The token response, if it can be used.
pub(crate) fn response(members: &Map<String, Value>) -> Result<TokenResponse, &'static str> {
    let access_token = text(members, "access_token").ok_or("its token response has no access_token")?;
    let token_type = match members.get("token_type") {
        None | Some(Value::Null) => token_type::BEARER,
        Some(Value::String(name)) if name.eq_ignore_ascii_case(token_type::BEARER) => name,
        Some(_) => return Err("its token_type is not Bearer"),
    };
    Ok(TokenResponse {
        access_token: AccessToken::new(access_token),
        token_type: token_type.to_owned(),
        expires_in: members.get("expires_in").and_then(seconds),
        refresh_token: refresh_token(members),
        id_token: text(members, "id_token").map(IdToken::new),
        scope: text(members, "scope").and_then(scope),
    })
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let value = members.get(name).and_then(Value::as_str);
    value.filter(|value| !value.is_empty())
}

/// Some pools send the number as a string.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Some pools pad their lists. One that is no scope at all is left out, as if nothing had been said.
fn scope(list: &str) -> Option<Scope> {
    let words: Vec<_> = list.split_ascii_whitespace().collect();
    words.join(" ").parse().ok().filter(|scope: &Scope| !scope.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn answered(status: u16, is_json: bool, body: &str) -> Result<Map<String, Value>, Trouble> {
        let body = body.as_bytes().to_vec();
        let status = StatusCode::from_u16(status).unwrap();
        members(Ok(Answer { status, is_json, body }))
    }

    fn error(status: u16, code: &str) -> Trouble {
        let body = json!({ "error": code, "error_description": "marker" });
        answered(status, true, &body.to_string()).unwrap_err()
    }

    fn read(body: &Value) -> Result<TokenResponse, &'static str> {
        response(body.as_object().unwrap())
    }

    /// RT-05, UP-08: who is to blame for an error, by status and code; the pool's words are never repeated.
    #[test]
    fn errors_are_told_apart() {
        assert_eq!(error(400, "invalid_grant"), Trouble::InvalidGrant);
        assert_eq!(error(400, "invalid_scope"), Trouble::InvalidScope);
        for (status, code) in [(401, "invalid_client"), (400, "invalid_client"), (400, "unauthorized_client")]
        {
            assert_eq!(error(status, code), Trouble::OurCredentials);
        }
        assert_eq!(answered(401, false, "<html>").unwrap_err(), Trouble::OurCredentials);
        for (status, code) in [
            (500, "invalid_grant"),
            (502, ""),
            (503, "invalid_grant"),
            (429, "invalid_grant"),
            (408, ""),
            (400, "temporarily_unavailable"),
            (400, "server_error"),
        ] {
            assert!(matches!(error(status, code), Trouble::Away(_)), "{status} {code}");
        }
        for (status, code) in [
            (200, "invalid_grant"),
            (204, "invalid_grant"),
            (302, "invalid_grant"),
            (400, "marker"),
            (400, "invalid_request"),
            (403, ""),
            (404, "marker"),
        ] {
            let trouble = match status {
                200 => Trouble::Nonsense(read(&json!({ "error": code })).unwrap_err().to_owned()),
                _ => error(status, code),
            };
            let Trouble::Nonsense(words) = trouble else { panic!("{status} {code} is {trouble:?}") };
            assert!(!words.contains("marker"), "{words}");
        }
    }

    /// UP-07: what is not JSON by its type or by its text, or says something twice, is no token response.
    #[test]
    fn only_json_is_a_token_response() {
        for (is_json, body) in [
            (true, "<html>"),
            (false, "{}"),
            (true, "[]"),
            (true, ""),
            (true, r#"{"access_token":"a","access_token":"b"}"#),
        ] {
            assert!(matches!(answered(200, is_json, body), Err(Trouble::Nonsense(_))), "{body}");
        }
        assert!(answered(200, true, r#"{"access_token":"a","new":[]}"#).is_ok());
    }

    /// UP-07: an access token and a token type that is Bearer, in whatever case, or absent.
    #[test]
    fn the_token_type_is_bearer() {
        for (sent, kept) in [("Bearer", "Bearer"), ("bearer", "bearer"), ("BEARER", "BEARER")] {
            assert_eq!(read(&json!({ "access_token": "a", "token_type": sent })).unwrap().token_type, kept);
        }
        assert_eq!(read(&json!({ "access_token": "a" })).unwrap().token_type, "Bearer");
        for odd in [json!("mac"), json!("DPoP"), json!(""), json!(7)] {
            assert!(read(&json!({ "access_token": "a", "token_type": odd })).is_err(), "{odd}");
        }
        for missing in [json!({}), json!({ "access_token": "" }), json!({ "access_token": 7 })] {
            assert!(read(&missing).is_err());
        }
    }

    /// RT-03: no refresh token stays no refresh token; values stay as they are.
    #[test]
    fn values_are_kept_and_absent_ones_stay_absent() {
        for none in [json!({}), json!({ "refresh_token": null }), json!({ "refresh_token": "" })] {
            let mut body = none;
            body["access_token"] = "a".into();
            assert!(read(&body).unwrap().refresh_token.is_none());
        }
        let all = read(&json!({
            "access_token": "a", "refresh_token": "r", "id_token": "i", "expires_in": "86400", "scope": " b  a ",
        }));
        let all = all.unwrap();
        assert_eq!(all.expires_in, Some(86_400));
        assert_eq!(all.scope.unwrap().to_string(), "b a");
        assert!(all.refresh_token.unwrap().matches("r") && all.id_token.unwrap().matches("i"));
        let odd = read(&json!({ "access_token": "a", "expires_in": -1, "scope": "\u{e9}" })).unwrap();
        assert!(odd.expires_in.is_none() && odd.scope.is_none());
    }

    proptest! {
        /// UP-07, UP-08: whatever the pool answers, nothing panics and none of it is repeated.
        #[test]
        fn no_answer_is_repeated(status in 200u16..600, name in "(error|access_token|token_type|scope|expires_in)", body in "\\PC{0,60}") {
            let _ = answered(status, true, &body).as_ref().map(response);
            let text = json!({ name.as_str(): "marker", "x": body }).to_string();
            let words = match answered(status, true, &text) {
                Ok(members) => response(&members).err().map(str::to_owned),
                Err(trouble) => Some(format!("{trouble:?}")),
            };
            prop_assert!(words.is_none_or(|words| !words.contains("marker")));
        }
    }
}
