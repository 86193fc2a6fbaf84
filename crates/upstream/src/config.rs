//! What an [`OidcPool`](crate::OidcPool) is told, and what of it cannot be right.

use std::time::Duration;

use device_grant_domain::jws::SigningAlgorithm;
use device_grant_domain::policy::FreshPrompt;
use url::{Host, Url};

use crate::http::Bounds;

/// The longest leeway that may be set for the times in an ID token (IT-02).
pub const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// No side call of an exchange (a look for new keys, the return of tokens) takes longer.
const MAX_SIDE_CALL: Duration = Duration::from_secs(5);

/// Everything an [`OidcPool`](crate::OidcPool) needs to know.
#[derive(Clone, Debug)]
pub struct OidcPoolConfig {
    /// The issuer, character for character as the pool's discovery document and its ID tokens have it.
    pub issuer: String,
    /// The claim of the ID token that names a person across the pool clients in use (Entra: `oid`).
    pub account_claim: String,
    /// How far the pool's clock may be from ours; at most [`MAX_LEEWAY`].
    pub leeway: Duration,
    /// What the pool does in a way of its own.
    pub manner: Manner,
    /// How it is asked for a fresh sign-in.
    pub fresh_prompt: FreshPrompt,
    /// Whether browsers are sent there to end its session, where discovery says where.
    pub signs_out: bool,
    /// What ID tokens may be signed with. Discovery may narrow it and never widens it.
    pub algorithms: Vec<SigningAlgorithm>,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for a whole answer, connection and waiting for a free place included.
    pub total_timeout: Duration,
    /// The most bytes an answer of the pool may have.
    pub answer_limit: usize,
    /// The most calls of the token and revocation endpoints under way at one moment.
    pub max_parallel_calls: usize,
    /// The development switch: plain http, for an issuer and endpoints on the loopback only.
    pub allow_http: bool,
    /// Discovery and keys are fetched again after this long at the latest.
    pub refresh_interval: Duration,
    /// After a look for an unknown key there is no other for this long.
    pub keys_cool_down: Duration,
}

/// How a pool speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As the standards say.
    Standard,
    /// As Amazon Cognito does: signing out comes back by `logout_uri`, which no standard has.
    Cognito {
        /// The origin of the pool's domain, where its pages and its token endpoint are. Without it discovery says so; that
        /// names one domain only where a pool has several.
        domain: Option<Url>,
    },
}

impl Manner {
    /// The parameter that brings a browser back after it has signed out.
    pub(crate) fn return_parameter(&self) -> &'static str {
        match self {
            Self::Standard => "post_logout_redirect_uri",
            Self::Cognito { .. } => "logout_uri",
        }
    }
}

impl OidcPoolConfig {
    /// The defaults, for the pool `issuer`.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            account_claim: "sub".to_owned(),
            manner: Manner::Standard,
            fresh_prompt: FreshPrompt::default(),
            signs_out: true,
            leeway: Duration::from_mins(1),
            algorithms: SigningAlgorithm::ALL.to_vec(),
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            answer_limit: 1 << 20,
            max_parallel_calls: 64,
            allow_http: false,
            refresh_interval: Duration::from_hours(1),
            keys_cool_down: Duration::from_secs(10),
        }
    }

    /// The longest an exchange takes: the token request, a look for a new key, and the return of tokens that did not
    /// pass. A deadline around an exchange must not be shorter, or tokens that do not pass stay alive at the pool.
    pub fn longest_exchange(&self) -> Duration {
        self.total_timeout + self.side_call_timeout() * 2
    }

    pub(crate) fn side_call_timeout(&self) -> Duration {
        self.total_timeout.min(MAX_SIDE_CALL)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            connect_timeout: self.connect_timeout,
            total_timeout: self.total_timeout,
            answer_limit: self.answer_limit,
            max_parallel_calls: self.max_parallel_calls,
            plain_http: self.is_plain_http(),
        }
    }

    /// Whether the issuer is one that is spoken to without TLS.
    pub(crate) fn is_plain_http(&self) -> bool {
        self.issuer.starts_with("http://")
    }

    /// The issuer as a URL, if everything here can be right.
    pub(crate) fn check(&self) -> Result<Url, ConfigError> {
        if self.leeway > MAX_LEEWAY {
            return Err(ConfigError::Leeway);
        }
        if self.algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        if self.account_claim.is_empty() {
            return Err(ConfigError::AccountClaim);
        }
        let limits = [self.answer_limit, self.max_parallel_calls];
        let times = [self.connect_timeout, self.total_timeout, self.refresh_interval];
        if limits.contains(&0) || times.contains(&Duration::ZERO) {
            return Err(ConfigError::Zero);
        }
        let url = Url::parse(&self.issuer).map_err(|_| ConfigError::IssuerUrl)?;
        let bare = url.query().is_none() && url.fragment().is_none() && !has_credentials(&url);
        match url.scheme() {
            _ if !bare || url.host().is_none() => Err(ConfigError::IssuerUrl),
            "https" => Ok(url),
            "http" if self.allow_http && is_loopback(&url) => Ok(url),
            "http" => Err(ConfigError::PlainHttp),
            _ => Err(ConfigError::IssuerUrl),
        }
    }
}

pub(crate) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether `url` names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A configuration that cannot be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a URL that can be an issuer (OpenID Connect Discovery section 2).
    #[error("the issuer is an https URL with a host and without query, fragment or credentials")]
    IssuerUrl,
    /// Plain http where it is not allowed (UP-04).
    #[error("the issuer is reached over https; plain http is for development, on this machine only")]
    PlainHttp,
    /// Not a place that keys are fetched from.
    #[error("a jwks_uri is an https URL without credentials; plain http is for this machine only")]
    JwksUri,
    /// More than [`MAX_LEEWAY`].
    #[error("the leeway is at most {} seconds", MAX_LEEWAY.as_secs())]
    Leeway,
    /// An empty list.
    #[error("at least one signing algorithm is allowed")]
    NoAlgorithm,
    /// An empty name.
    #[error("the account claim has a name")]
    AccountClaim,
    /// A limit or a time that lets nothing through.
    #[error(
        "time limits, the refresh interval, the answer limit and the number of parallel calls are above zero"
    )]
    Zero,
    /// The HTTP client cannot be built, for want of the system's certificates mostly.
    #[error("the HTTP client cannot be built; are the system's CA certificates installed? {0}")]
    HttpClient(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(change: impl FnOnce(&mut OidcPoolConfig)) -> Result<Url, ConfigError> {
        let mut config = OidcPoolConfig::new("https://pool.example/realm");
        change(&mut config);
        config.check()
    }

    /// UP-04: plain http only by the switch, and then on the loopback only.
    #[test]
    fn plain_http_needs_the_switch_and_the_loopback() {
        assert!(verdict(|_| {}).is_ok());
        let issuer = |issuer: &str, allow_http| {
            let issuer = issuer.to_owned();
            verdict(move |config| (config.issuer, config.allow_http) = (issuer, allow_http))
        };
        for local in ["http://127.0.0.1:4000", "http://localhost:4000/a", "http://[::1]:1"] {
            assert!(matches!(issuer(local, false), Err(ConfigError::PlainHttp)), "{local}");
            assert!(issuer(local, true).is_ok(), "{local}");
        }
        for remote in ["http://pool.example", "http://127.0.0.1.example", "http://localhost.example"] {
            assert!(matches!(issuer(remote, true), Err(ConfigError::PlainHttp)), "{remote}");
        }
        for odd in
            ["pool", "https://a@pool.example", "https://pool.example?x", "https://pool.example#x", "ftp://a"]
        {
            assert!(matches!(issuer(odd, true), Err(ConfigError::IssuerUrl)), "{odd}");
        }
    }

    /// IT-02: the leeway stays a few minutes at most.
    #[test]
    fn a_long_leeway_is_refused() {
        assert!(verdict(|config| config.leeway = MAX_LEEWAY).is_ok());
        let longer = verdict(|config| config.leeway = MAX_LEEWAY + Duration::from_secs(1));
        assert!(matches!(longer, Err(ConfigError::Leeway)));
    }

    #[test]
    fn what_would_let_nothing_through_is_refused() {
        assert!(matches!(verdict(|config| config.algorithms.clear()), Err(ConfigError::NoAlgorithm)));
        assert!(matches!(verdict(|config| config.account_claim.clear()), Err(ConfigError::AccountClaim)));
        assert!(matches!(verdict(|config| config.max_parallel_calls = 0), Err(ConfigError::Zero)));
        assert!(matches!(verdict(|config| config.total_timeout = Duration::ZERO), Err(ConfigError::Zero)));
    }
}
