use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::balancer::BalancerSignIn;
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
    /// When and how people sign in.
    pub sign_in: SignIn,
    /// How long a browser's session lasts.
    pub sessions: SessionLimits,
    /// How long a body may take to arrive (HI-02).
    pub body_timeout: Duration,
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

/// When and how people sign in.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// At the pool, before they enter a code.
    First,
    /// At the pool, after they have authorized: the trip for the tokens is the sign-in.
    OnApproval,
    /// At a load balancer, which says who they are with each request.
    Balancer(Arc<dyn BalancerSignIn>),
}

/// How long a browser's session lasts (SEC-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// It ends when the browser sends nothing for this long.
    pub idle: Duration,
    /// It ends after this, whatever happens.
    pub life: Duration,
}
