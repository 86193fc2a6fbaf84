//! From where a request comes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use device_grant_domain::Network;

use crate::state::AppState;

pub(crate) const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who sends a request, as far as addresses say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    /// From where. Limits count these.
    pub(crate) network: Network,
    /// Whether one of our proxies passed it on.
    pub(crate) proxied: bool,
}

impl FromRequestParts<AppState> for Sender {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        // Without a peer (no socket in between) everybody counts as one network.
        let peer = peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let is_ours = |address: &IpAddr| state.config.trusts(*address);
        let network = Network::of(sender(peer, &parts.headers, is_ours));
        Ok(Self { network, proxied: is_ours(&peer) })
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
    use proptest::prelude::*;

    use super::*;

    fn from(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let is_ours = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        Network::of(sender(peer.parse().unwrap(), &headers, is_ours)).to_string()
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

    proptest! {
        /// SEC-11: whatever a stranger writes, the address that our proxy saw counts.
        #[test]
        fn a_stranger_cannot_hide(lines in proptest::collection::vec("[0-9a-f:., \\[\\]x]{0,40}", 0..4), left in "[0-9., ]{0,20}") {
            let last = format!("{left},198.51.100.1");
            let forwarded: Vec<&str> = lines.iter().map(String::as_str).chain([last.as_str()]).collect();
            prop_assert_eq!(from("10.0.0.1", &forwarded, &["10.0.0.0/8"]), "198.51.100.1");
            prop_assert_eq!(from("203.0.113.9", &forwarded, &["10.0.0.0/8"]), "203.0.113.9");
        }
    }
}
