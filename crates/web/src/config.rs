use std::net::IpAddr;

use ipnet::IpNet;

/// What an operator decides about the HTTP face.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// What people read at the top of each page.
    pub service_name: String,
    /// From whom forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether `/token` without `grant_type` starts a request, and takes parameters from the query (LG-05).
    pub sample_way: bool,
    /// What a poll is told that cannot be decided.
    pub on_store_failure: OnStoreFailure,
}

impl WebConfig {
    /// Whether `peer` is a proxy of ours.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&peer.to_canonical()))
    }
}

/// What a poll is told that cannot be decided (TP-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// `slow_down` with `Retry-After`: every conforming device goes on.
    SlowDown,
    /// 503 `temporarily_unavailable`: strict clients give up.
    ServiceUnavailable,
}
