//! From which network a request comes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use crate::state::AppState;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The sender's network: an IPv4 address, or an IPv6 /64. Limits count these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) String);

impl FromRequestParts<AppState> for Network {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        // Without a peer (no socket in between) everybody counts as one network.
        let peer = peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        Ok(Self::of(sender(peer, &parts.headers, |address| state.config.trusts(*address))))
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

/// The right-most address that is not one of our proxies: everything to its left was written by strangers. A hop that
/// cannot be read ends the walk; it is never skipped.
fn sender(peer: IpAddr, headers: &HeaderMap, is_ours: impl Fn(&IpAddr) -> bool) -> IpAddr {
    let lines: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    let mut sender = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        if !is_ours(&sender) {
            break;
        }
        let Some(address) = read_hop(hop) else { break };
        sender = address;
    }
    sender
}

/// An address, as some proxies write it with its port.
fn read_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::*;

    fn from(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let is_ours = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        Network::of(sender(peer.parse().unwrap(), &headers, is_ours)).0
    }

    #[test]
    fn only_our_proxies_are_believed() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(from("203.0.113.9", &["198.51.100.1"], &ours), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &["192.0.2.66, 198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["192.0.2.66", "198.51.100.1, 10.0.0.2"], &ours), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["garbage"], &ours), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[], &ours), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["192.0.2.66, ü, 198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(
            from("10.0.0.1", &["192.0.2.66", "ü, 10.0.0.2"], &ours),
            "10.0.0.2",
            "a line is never skipped"
        );
        assert_eq!(from("10.0.0.1", &["198.51.100.1:4711"], &ours), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["[2001:db8::1]:443"], &ours), "2001:db8::/64");
        assert_eq!(from("10.0.0.1", &["192.0.2.66"], &[]), "10.0.0.1");
    }

    #[test]
    fn an_ipv6_sender_counts_by_its_64() {
        assert_eq!(from("2001:db8:1:2:3:4:5:6", &[], &[]), "2001:db8:1:2::/64");
        assert_eq!(from("::ffff:192.0.2.7", &[], &[]), "192.0.2.7");
    }
}
