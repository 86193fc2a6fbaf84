//! Answers as AWS Lambda takes them.

use std::collections::BTreeMap;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::event::Unreadable;

/// What an answer must look like, by who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A function URL: cookies stand apart.
    Url,
    /// A target group with `lambda.multi_value_headers.enabled`.
    MultiValue,
    /// A target group without it: each header once.
    SingleValue,
}

/// An answer in the form that was asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Vec<String>>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    /// `response`, read whole: all that we answer is small.
    pub(super) async fn of(response: Response<Body>, form: Form) -> Result<Self, axum::Error> {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await?;
        if form == Form::SingleValue && parts.headers.get_all(header::SET_COOKIE).iter().count() > 1 {
            // One of them would be lost without a word, and with it a sign-in.
            tracing::error!(
                "an answer sets several cookies, which the target group cannot carry: turn on its attribute \
                 lambda.multi_value_headers.enabled"
            );
            let words = "The load balancer in front is not set up for this page.\n";
            return Ok(Self::plain(StatusCode::INTERNAL_SERVER_ERROR, words, form));
        }
        Ok(Self::new(parts.status, &parts.headers, &body, form))
    }

    /// The answer to a request that cannot be read.
    pub(super) fn unreadable(Unreadable(what): Unreadable, form: Form) -> Self {
        Self::plain(StatusCode::BAD_REQUEST, &format!("The request cannot be read: {what}.\n"), form)
    }

    fn plain(status: StatusCode, words: &str, form: Form) -> Self {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        let no_store = HeaderValue::from_static("no-store");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, text), (header::CACHE_CONTROL, no_store)]);
        Self::new(status, &headers, words.as_bytes(), form)
    }

    fn new(status: StatusCode, headers: &HeaderMap, body: &[u8], form: Form) -> Self {
        let description = || format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
        let (body, is_base64_encoded) = match std::str::from_utf8(body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (BASE64_STANDARD.encode(body), true),
        };
        let mut values = by_name(headers);
        let cookies = (form == Form::Url)
            .then(|| values.remove(header::SET_COOKIE.as_str()))
            .map(Option::unwrap_or_default);
        let (one, many) = match form {
            Form::MultiValue => (None, Some(values)),
            // A list in several lines is a list in one (RFC 9110 section 5.3).
            Form::SingleValue | Form::Url => {
                (Some(values.into_iter().map(|(name, values)| (name, values.join(", "))).collect()), None)
            }
        };
        Self {
            status_code: status.as_u16(),
            status_description: (form != Form::Url).then(description),
            headers: one,
            multi_value_headers: many,
            cookies,
            body,
            is_base64_encoded,
        }
    }
}

fn by_name(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        values.entry(name.as_str().to_owned()).or_default().push(value);
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn answered(response: http::response::Builder, body: &[u8], form: Form) -> Value {
        let response = response.body(Body::from(body.to_vec())).unwrap();
        serde_json::to_value(Answer::of(response, form).await.unwrap()).unwrap()
    }

    fn two_cookies() -> http::response::Builder {
        Response::builder().status(303).header("set-cookie", "a=1").header("set-cookie", "b=2; Path=/")
    }

    /// Several cookies reach the browser where they can; where one would be lost nothing is sent.
    #[tokio::test]
    async fn no_cookie_is_lost() {
        let answer = answered(two_cookies(), b"", Form::MultiValue).await;
        assert_eq!(answer["multiValueHeaders"], json!({ "set-cookie": ["a=1", "b=2; Path=/"] }));
        assert_eq!((&answer["statusDescription"], answer.get("headers")), (&json!("303 See Other"), None));
        let answer = answered(two_cookies(), b"", Form::Url).await;
        assert_eq!((&answer["cookies"], &answer["headers"]), (&json!(["a=1", "b=2; Path=/"]), &json!({})));
        let answer = answered(two_cookies(), b"", Form::SingleValue).await;
        assert_eq!(answer["statusCode"], 500);
        assert!(answer["headers"].get("set-cookie").is_none());
        let one = Response::builder().header("set-cookie", "a=1").header("vary", "x").header("vary", "y");
        let answer = answered(one, b"", Form::SingleValue).await;
        assert_eq!(answer["headers"], json!({ "set-cookie": "a=1", "vary": "x, y" }));
    }

    #[tokio::test]
    async fn what_is_no_text_goes_as_base64() {
        let answer = answered(Response::builder(), "ü".as_bytes(), Form::Url).await;
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("ü"), &json!(false)));
        let answer = answered(Response::builder(), &[0xff, 0x00], Form::SingleValue).await;
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    }
}
