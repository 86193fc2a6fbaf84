//! The audit trail: what happened to each login, in lines of the target `device_grant::audit`.
//!
//! Nothing secret is in it. A network is coarse, and an account is a hash under the keyring: lines of one person can be put
//! side by side, and nobody's name stands in a log.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_protocol::ClientId;

use crate::client::DeviceClient;
use crate::ids::RequestId;
use crate::network::Network;
use crate::request::DeviceRequest;
use crate::service::DeviceGrant;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A client could not prove itself.
    Authenticate,
    /// A person came back from signing in.
    SignIn,
    /// Codes were issued, or were not.
    Issue,
    /// A code was entered: the request was shown, or there was none.
    View,
    /// The person pressed Authorize.
    Authorize,
    /// The tokens wait for the device.
    Approve,
    /// The person said no.
    Deny,
    /// The device gave its code up.
    Cancel,
    /// The device has its tokens.
    HandOver,
    /// An approval brought nothing.
    Failure,
    /// A refresh token was not good. Those that were good leave no line: every device of a fleet would, every hour.
    Refresh,
    /// A token was given up.
    Revoke,
    /// A poll that could not be decided. Only counted: it would be a line for every device.
    Poll,
    /// A poll went on with a code whose holder had not come back. Only counted: the log has its own line.
    TakeOver,
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::SignIn => "sign_in",
            Self::Issue => "issue",
            Self::View => "view",
            Self::Authorize => "authorize",
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Cancel => "cancel",
            Self::HandOver => "hand_over",
            Self::Failure => "failure",
            Self::Refresh => "refresh",
            Self::Revoke => "revoke",
            Self::Poll => "poll",
            Self::TakeOver => "take_over",
        }
    }
}

/// Whom it is about, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) request: Option<&'a RequestId>,
    pub(crate) client: Option<&'a ClientId>,
    /// Of whoever sent the request that led to this.
    pub(crate) network: Option<Network>,
    pub(crate) account: Option<&'a str>,
}

impl<'a> About<'a> {
    pub(crate) fn client(client: &'a DeviceClient, network: Network) -> Self {
        Self { client: Some(&client.id), network: Some(network), ..Self::default() }
    }

    pub(crate) fn request(request: &'a DeviceRequest) -> Self {
        Self { request: Some(&request.id), client: Some(&request.client_id), ..Self::default() }
    }
}

/// A line of the trail; its level has to be known when it is compiled.
macro_rules! line {
    ($level:expr, $service:expr, $event:expr, $outcome:expr, $about:expr) => {
        tracing::event!(
            target: "device_grant::audit",
            $level,
            event = $event.name(),
            outcome = $outcome,
            request = $about.request.map(tracing::field::display),
            client = $about.client.map(tracing::field::display),
            network = $about.network.map(Network::coarse),
            account = $about.account.map(|account| $service.account_hash(account)),
        )
    };
}

impl DeviceGrant {
    /// Counts what leaves no line.
    pub(crate) fn count(&self, event: Event, outcome: &'static str, client: &ClientId) {
        self.observer.happened(event.name(), outcome, Some(client));
    }

    /// Writes a line, and counts it.
    pub(crate) fn audit(&self, event: Event, outcome: &'static str, about: About<'_>) {
        self.observer.happened(event.name(), outcome, about.client);
        line!(tracing::Level::INFO, self, event, outcome, about);
    }

    /// Writes a line that somebody should look at, and counts it.
    pub(crate) fn audit_alarm(&self, event: Event, outcome: &'static str, about: About<'_>) {
        self.observer.happened(event.name(), outcome, about.client);
        line!(tracing::Level::WARN, self, event, outcome, about);
    }

    fn account_hash(&self, account: &str) -> String {
        let mac = self.keyring.macs("audit", account.as_bytes())[0];
        BASE64_URL_SAFE_NO_PAD.encode(&mac[..12])
    }
}
