//! Requests as AWS Lambda hands them over: the events of an Application Load Balancer and of a function URL.

use std::collections::BTreeMap;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::answer::Form;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// An event, by where it comes from. Events hold secrets: nothing here prints one.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Event {
    /// Of a function URL: the payload that AWS calls 2.0.
    Url(UrlEvent),
    /// Of a load balancer's target group.
    Balancer(BalancerEvent),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UrlEvent {
    raw_path: String,
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: UrlContext,
}

#[derive(Deserialize)]
struct UrlContext {
    http: UrlHttp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UrlHttp {
    method: String,
    source_ip: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BalancerEvent {
    #[expect(dead_code, reason = "tells whose event it is")]
    request_context: BalancerContext,
    http_method: String,
    path: String,
    /// Names and values as they stood in the URL: the balancer decodes nothing.
    query_string_parameters: Option<BTreeMap<String, String>>,
    multi_value_query_string_parameters: Option<BTreeMap<String, Vec<String>>>,
    headers: Option<BTreeMap<String, String>>,
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct BalancerContext {
    #[expect(dead_code, reason = "tells whose event it is")]
    elb: IgnoredAny,
}

/// What invoked the function is neither a load balancer nor a function URL.
#[derive(Debug, thiserror::Error)]
#[error(
    "the event is no HTTP request: let an Application Load Balancer or a function URL (payload format 2.0) invoke the function"
)]
pub(super) struct NoRequest;

/// What of a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) &'static str);

const A_HEADER: Unreadable = Unreadable("a header");

impl Event {
    /// The request that `event` holds.
    pub(super) fn read(event: Value) -> Result<Self, NoRequest> {
        // The words of the parser could quote the event.
        serde_json::from_value(event).map_err(|_| NoRequest)
    }

    /// What its answer must look like.
    pub(super) fn form(&self) -> Form {
        match self {
            Self::Url(_) => Form::Url,
            Self::Balancer(event) if event.multi_value_headers.is_some() => Form::MultiValue,
            Self::Balancer(_) => Form::SingleValue,
        }
    }

    /// The request as a listener would have read it.
    pub(super) fn into_request(self) -> Result<Request<Body>, Unreadable> {
        match self {
            Self::Url(event) => event.into_request(),
            Self::Balancer(event) => event.into_request(),
        }
    }
}

impl UrlEvent {
    fn into_request(self) -> Result<Request<Body>, Unreadable> {
        let UrlHttp { method, source_ip } = self.request_context.http;
        let mut request =
            request(&method, &self.raw_path, &self.raw_query_string, (self.body, self.is_base64_encoded))?;
        for (name, value) in &self.headers {
            append(&mut request, name, value)?;
        }
        if !self.cookies.is_empty() {
            let cookies = HeaderValue::try_from(self.cookies.join("; ")).map_err(|_| A_HEADER)?;
            request.headers_mut().insert(header::COOKIE, cookies);
        }
        // TLS ends at the URL, and this is whom it saw: the last hop, whatever else the header says.
        append(&mut request, FORWARDED_FOR.as_str(), &source_ip)?;
        request.headers_mut().insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        Ok(request)
    }
}

impl BalancerEvent {
    fn into_request(self) -> Result<Request<Body>, Unreadable> {
        let query = pairs(self.query_string_parameters, self.multi_value_query_string_parameters);
        let query: Vec<String> = query.map(|(name, value)| format!("{name}={value}")).collect();
        let body = (self.body, self.is_base64_encoded);
        let mut request = request(&self.http_method, &self.path, &query.join("&"), body)?;
        for (name, value) in pairs(self.headers, self.multi_value_headers) {
            append(&mut request, &name, &value)?;
        }
        Ok(request)
    }
}

/// Names and values of whichever of the two maps there is.
fn pairs(
    single: Option<BTreeMap<String, String>>,
    multi: Option<BTreeMap<String, Vec<String>>>,
) -> impl Iterator<Item = (String, String)> {
    let single = if multi.is_some() { None } else { single };
    let multi = multi.into_iter().flatten();
    let multi = multi.flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)));
    single.into_iter().flatten().chain(multi)
}

fn request(
    method: &str,
    path: &str,
    query: &str,
    (body, is_base64): (Option<String>, bool),
) -> Result<Request<Body>, Unreadable> {
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Unreadable("its method"))?;
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let uri = Uri::try_from(uri).map_err(|_| Unreadable("its path or its query"))?;
    let body = body.unwrap_or_default();
    let body = if is_base64 {
        BASE64_STANDARD.decode(body).map_err(|_| Unreadable("its body"))?
    } else {
        body.into_bytes()
    };
    let mut request = Request::new(Body::from(body));
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    // Which version the client spoke is not said, and a balancer's health checks name no host.
    *request.version_mut() = Version::HTTP_10;
    Ok(request)
}

fn append(request: &mut Request<Body>, name: &str, value: &str) -> Result<(), Unreadable> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| A_HEADER)?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| A_HEADER)?;
    request.headers_mut().append(name, value);
    Ok(())
}

#[cfg(test)]
mod tests;
