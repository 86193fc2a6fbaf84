//! What an Application Load Balancer makes of a request for a function, and of the function's answer, as AWS documents it.
//! haproxy in front does what concerns connections: TLS, turns, `X-Forwarded-For`, `-Proto` and `-Port`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

/// What goes into events as it is; every other body goes in base64.
const TEXTS: [&str; 4] = ["text/", "application/json", "application/javascript", "application/xml"];

/// Which values of headers and of the query's parameters a target group passes on, each way: its attribute
/// `lambda.multi_value_headers.enabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// All values of a name.
    All,
    /// The last one.
    Last,
}

impl Values {
    /// The event for a request.
    pub(super) fn event(self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Value {
        let is_text = is_text(headers);
        let body =
            if is_text { String::from_utf8_lossy(body).into_owned() } else { BASE64_STANDARD.encode(body) };
        let headers = headers.iter().map(|(name, value)| (name.as_str(), lossy(value.as_bytes())));
        // Neither names nor values are decoded.
        let query =
            uri.query().into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty());
        let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = query.map(|(name, value)| (name, value.to_owned()));
        let (of_headers, of_query) = match self {
            Self::All => ("multiValueHeaders", "multiValueQueryStringParameters"),
            Self::Last => ("headers", "queryStringParameters"),
        };
        let group =
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/functions/6d0ecf831eec9f09";
        json!({
            "requestContext": { "elb": { "targetGroupArn": group } },
            "httpMethod": method.as_str(),
            "path": uri.path(),
            of_query: self.table(query),
            of_headers: self.table(headers),
            "body": body,
            "isBase64Encoded": !is_text,
        })
    }

    /// The response that an answer is.
    pub(super) fn response(self, answer: &Value) -> anyhow::Result<Response<Body>> {
        let status = answer["statusCode"].as_u64().context("no statusCode")?;
        let mut response = Response::builder().status(StatusCode::from_u16(status.try_into()?)?);
        match self {
            Self::All => {
                for (name, values) in table(answer, "multiValueHeaders")? {
                    for value in values.as_array().with_context(|| format!("{name} is no list"))? {
                        response = response.header(name, text(value)?);
                    }
                }
            }
            Self::Last => {
                for (name, value) in table(answer, "headers")? {
                    response = response.header(name, text(value)?);
                }
            }
        }
        let body = text(&answer["body"])?;
        let is_base64 = answer["isBase64Encoded"].as_bool().context("no isBase64Encoded")?;
        let body = if is_base64 { BASE64_STANDARD.decode(body)? } else { body.into() };
        Ok(response.body(body.into())?)
    }

    fn table<'a>(self, pairs: impl Iterator<Item = (&'a str, String)>) -> Value {
        let mut by_name: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            by_name.entry(name).or_default().push(value);
        }
        match self {
            Self::All => json!(by_name),
            Self::Last => by_name.into_iter().map(|(name, values)| (name, json!(values.last()))).collect(),
        }
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let of = |name| headers.get(name).map(|value| lossy(value.as_bytes()));
    let kind = of(header::CONTENT_TYPE).unwrap_or_default();
    of(header::CONTENT_ENCODING).is_none() && TEXTS.iter().any(|text| kind.starts_with(text))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The headers of an answer. The balancer looks for them in one form only.
fn table<'a>(answer: &'a Value, name: &str) -> anyhow::Result<&'a Map<String, Value>> {
    answer[name].as_object().with_context(|| format!("no {name}"))
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}
