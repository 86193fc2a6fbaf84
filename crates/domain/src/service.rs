//! Everything a use case needs, in one place.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;
use url::Url;

use crate::client::registry::Registry;
use crate::client::{ClientKeys, Clients, DeviceClient, PoolBinding};
use crate::codes::CodeFormat;
use crate::dpop::DpopSettings;
use crate::entropy::Entropy;
use crate::failures::VainTries;
use crate::guesses::GuessLimits;
use crate::ids::OpId;
use crate::keyring::Keyring;
use crate::keys::KeyWatch;
use crate::limits::{StartCounts, StartLimits};
use crate::observer::Observer;
use crate::pace::{PaceBook, PollPace};
use crate::pool::{PoolClient, UserPool};
use crate::records::RecordStore;
use crate::refreshes::Refreshes;
use crate::store::{Consistency, RequestStore};
use crate::tally::Tally;
use crate::time::{Clock, Timestamp};

const PACE_BOOK_CAPACITY: usize = 200_000;

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our public origin: every URL that we name begins with it (DA-03).
    pub public_url: Url,
    /// How device codes look.
    pub device_code: CodeFormat,
    /// How user codes look.
    pub user_code: CodeFormat,
    /// The life of both codes.
    pub lifetime: Duration,
    /// Seconds between polls at first.
    pub interval: u32,
    /// How a poll reads.
    pub poll_reads: Consistency,
    /// Where it is kept when a request was last polled.
    pub poll_pace: PollPace,
    /// Our own client at the pool: for signing people in, and for device clients without one of their own.
    pub service_client: PoolClient,
    /// Further parameters of every trip to the pool.
    pub authorize_params: Vec<(String, String)>,
    /// Guesses of user codes in [`Settings::lifetime`].
    pub guess_limits: GuessLimits,
    /// Whether new user codes grow when more codes are live, or more guesses miss, than their length is good for.
    pub grow_user_codes: bool,
    /// Starts per minute.
    pub start_limits: StartLimits,
    /// Wrong secrets that one network may show for one client in a minute, on each replica (CA-09).
    pub wrong_secret_limit: u32,
    /// Calls to the pool that one network's sign-ins and approvals, or one client in it, may cause in vain in a minute, on
    /// each replica. Strangers can cause them, and the pool counts them against us.
    pub vain_pool_call_limit: u32,
    /// Polls for codes that there are not, by one client in one network, in a minute, on each replica.
    pub unknown_code_limit: u32,
    /// How far other clocks may be from ours when the times in an ID token, an assertion or a proof are checked (HI-14).
    pub leeway: Duration,
    /// The furthest ahead that a client assertion may end (CA-12).
    pub assertion_life: Duration,
    /// How devices prove that they hold a key.
    pub dpop: DpopSettings,
    /// Authorize is refused when less than this is left of the codes' life.
    pub min_trip: Duration,
    /// The longest an exchange may take at the pool.
    pub exchange_deadline: Duration,
    /// The longest a write may take.
    pub store_deadline: Duration,
    /// How far the replicas' clocks may differ.
    pub clock_skew: Duration,
}

impl Settings {
    /// How long a claim keeps everybody else from exchanging: the claim's own write, and then what an exchange needs.
    pub fn lease(&self) -> Duration {
        self.store_deadline + self.exchange_time()
    }

    /// What must be left of a lease when an exchange is sent: the call, the write after it, and the clocks apart.
    pub(crate) fn exchange_time(&self) -> Duration {
        self.exchange_deadline + self.store_deadline + self.clock_skew
    }

    /// Where the pool sends browsers back to.
    pub fn redirect_uri(&self) -> Url {
        self.at("/callback")
    }

    /// Where people enter codes.
    pub fn verification_uri(&self) -> Url {
        self.at("/device")
    }

    /// Our issuer identifier (RFC 8414 section 2): the public origin.
    pub fn issuer(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }

    /// `path` below our public URL.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.public_url.clone();
        url.set_path(path);
        url
    }
}

/// The service behind the endpoints: one method for each thing that a device or a person can do.
pub struct DeviceGrant {
    /// Where requests live.
    pub store: Arc<dyn RequestStore>,
    /// Small records beside them.
    pub records: Arc<dyn RecordStore>,
    /// Who signs people in.
    pub pool: Arc<dyn UserPool>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Keys.
    pub keyring: Arc<Keyring>,
    /// Who may start requests.
    pub clients: Arc<Clients>,
    /// What the operator decided.
    pub settings: Settings,
    /// Work that outlives the answer it was begun for; waited for at shutdown.
    pub tasks: TaskTracker,
    pub(crate) client_keys: Arc<dyn ClientKeys>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) wrong_secrets: VainTries,
    pub(crate) vain_pool_calls: VainTries,
    pub(crate) unknown_codes: VainTries,
    pub(crate) pace: PaceBook,
    pub(crate) starts: StartCounts,
    pub(crate) tally: Tally,
    pub(crate) key_watch: KeyWatch,
    pub(crate) refreshes: Refreshes,
}

/// The doors to the world outside.
pub struct Ports {
    /// Where requests live.
    pub store: Arc<dyn RequestStore>,
    /// Small records beside them.
    pub records: Arc<dyn RecordStore>,
    /// Who signs people in.
    pub pool: Arc<dyn UserPool>,
    /// Where clients publish their keys.
    pub client_keys: Arc<dyn ClientKeys>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Whoever counts for the operators.
    pub observer: Arc<dyn Observer>,
}

impl DeviceGrant {
    /// A service with nothing in its memory yet.
    pub fn new(ports: Ports, keyring: Arc<Keyring>, clients: Arc<Clients>, settings: Settings) -> Self {
        let Ports { store, records, pool, client_keys, clock, entropy, observer } = ports;
        Self {
            tasks: TaskTracker::new(),
            wrong_secrets: VainTries::new(settings.wrong_secret_limit),
            vain_pool_calls: VainTries::new(settings.vain_pool_call_limit),
            unknown_codes: VainTries::new(settings.unknown_code_limit),
            pace: PaceBook::new(PACE_BOOK_CAPACITY),
            starts: StartCounts::new(settings.start_limits),
            tally: Tally::default(),
            key_watch: KeyWatch::default(),
            refreshes: Refreshes::default(),
            store,
            records,
            pool,
            client_keys,
            observer,
            clock,
            entropy,
            keyring,
            clients,
            settings,
        }
    }

    /// The pool client that `client`'s tokens are made for.
    pub fn pool_client<'a>(&'a self, client: &'a DeviceClient) -> &'a PoolClient {
        match &client.pool_client {
            PoolBinding::Shared => &self.settings.service_client,
            PoolBinding::Own(own) => own,
        }
    }

    /// The clients that are registered in the store.
    pub fn registry(&self) -> Registry<'_> {
        Registry::new(&*self.records, &self.keyring)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn op(&self) -> OpId {
        OpId::fresh(&*self.entropy)
    }
}
