//! How a request has arrived: over TLS or not (RFC 6749 section 1.6), and for one host (RFC 9112 section 3.2).

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Response, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect};
use device_grant_protocol::ErrorCode;

use crate::error::OAuthError;
use crate::pages::Problem;
use crate::state::AppState;

pub(crate) const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What is known of the way that a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// Over TLS, or on the loopback for development.
    Secure,
    /// In the clear: past the proxy, or the proxy itself was asked so.
    Plain,
    /// A trusted proxy does not say.
    Unsaid,
}

impl Arrival {
    fn of(state: &AppState, request: &Request) -> Self {
        if state.service.settings.public_url.scheme() == "http" {
            return Self::Secure;
        }
        if peer(request).is_some_and(|peer| state.config.trusts(peer)) {
            said_by_proxy(request.headers())
        } else {
            Self::Plain
        }
    }
}

fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip())
}

/// What the nearest proxy says; what stands to the left of it was written by strangers.
fn said_by_proxy(headers: &HeaderMap) -> Arrival {
    let last = headers.get_all(FORWARDED_PROTO).iter().next_back();
    let Some(last) = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()) else {
        return Arrival::Unsaid;
    };
    if last.trim().eq_ignore_ascii_case("https") { Arrival::Secure } else { Arrival::Plain }
}

/// One line is enough: whoever can reach this port directly could fill the log otherwise.
fn tell_once(state: &AppState, request: &Request) {
    if !state.told_of_plain_http.swap(true, Ordering::Relaxed) {
        let peer = peer(request).map(|peer| peer.to_string());
        tracing::warn!(
            peer,
            "a request came without TLS and was refused: network.trusted_proxies must name the proxy where TLS ends, \
             and that proxy must set X-Forwarded-Proto"
        );
    }
}

/// The arrival of a request that is refused unless it is secure.
fn refusing(state: &AppState, request: &Request) -> Arrival {
    let arrival = Arrival::of(state, request);
    if arrival != Arrival::Secure {
        tell_once(state, request);
    }
    arrival
}

/// SEC-01: over TLS only; on plain http the header means nothing and would be a lie.
pub(crate) async fn strict(State(state): State<AppState>, request: Request, next: Next) -> Response<Body> {
    let is_https = state.service.settings.public_url.scheme() == "https";
    let secure = is_https && Arrival::of(&state, &request) == Arrival::Secure;
    let mut response = next.run(request).await;
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Devices are refused over plain http, not redirected: what they sent was readable already (SEC-13).
pub(crate) async fn for_devices(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response<Body> {
    match refusing(&state, &request) {
        Arrival::Secure => next.run(request).await,
        Arrival::Plain => OAuthError::invalid_request("this was plain http: use https").into_response(),
        Arrival::Unsaid => {
            let words =
                "the proxy in front sets no X-Forwarded-Proto, which network.trusted_proxies wants of it";
            OAuthError::described(ErrorCode::ServerError, words).into_response()
        }
    }
}

/// People who open a page over plain http are sent to the same page over https; forms are refused (SEC-13).
pub(crate) async fn for_people(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response<Body> {
    match refusing(&state, &request) {
        Arrival::Secure => next.run(request).await,
        Arrival::Plain if [Method::GET, Method::HEAD].contains(request.method()) => {
            let mut url = state.service.settings.at(request.uri().path());
            url.set_query(request.uri().query());
            Redirect::permanent(url.as_str()).into_response()
        }
        Arrival::Plain => state.pages.problem(Problem::PlainHttp),
        Arrival::Unsaid => state.pages.problem(Problem::Proxy),
    }
}

/// HTTP/1.1 wants exactly one well-formed `Host`. It decides nothing here, but two of them could mean different things to
/// us and to a proxy (HI-10).
pub(crate) async fn one_host(request: Request, next: Next) -> Response<Body> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let well_formed = match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host),
        (None, _) => request.version() != Version::HTTP_11,
        (Some(_), Some(_)) => false,
    };
    if well_formed {
        return next.run(request).await;
    }
    OAuthError::invalid_request("exactly one Host header is wanted").into_response()
}

fn is_host(value: &HeaderValue) -> bool {
    let Ok(authority) = Authority::try_from(value.as_bytes()) else { return false };
    let (host, port) = authority.as_str().split_at(authority.host().len().min(authority.as_str().len()));
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    !host.is_empty() && host == authority.host() && is_port
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// SEC-13: what strangers write to the left of our proxy's word changes nothing.
        #[test]
        fn the_nearest_proxy_is_heard(left in "[ -~]{0,20}", line in "[ -~]{0,20}") {
            for (word, arrival) in [("https", Arrival::Secure), ("HTTPS ", Arrival::Secure), ("http", Arrival::Plain), ("", Arrival::Plain)] {
                let mut headers = HeaderMap::new();
                headers.append(FORWARDED_PROTO, HeaderValue::from_str(&line).unwrap());
                headers.append(FORWARDED_PROTO, HeaderValue::from_str(&format!("{left},{word}")).unwrap());
                prop_assert_eq!(said_by_proxy(&headers), arrival);
            }
        }

        /// HI-10: what is taken for a host is a host and perhaps a port: no user, no path, nothing around it.
        #[test]
        fn a_host_is_nothing_else(host in "[a-z0-9.:@/?#\\[\\] -]{0,24}", name in "[a-z0-9-]{1,12}(\\.[a-z]{1,6})?", port: u16) {
            let is = |text: &str| HeaderValue::from_str(text).is_ok_and(|value| is_host(&value));
            prop_assert!(!is(&host) || !host.contains(['@', '/', '?', '#', ' ']), "{}", host);
            let [with_port, odd_port] = [format!("{name}:{port}"), format!("{name}:{port}x")];
            prop_assert!(is(&name) && is(&with_port) && !is(&odd_port), "{}", with_port);
            let with_user = format!("{host}@{name}");
            prop_assert!(!is(&with_user), "{}", with_user);
        }
    }
}
