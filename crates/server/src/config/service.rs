//! From checked settings to what the rooms below take.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::dpop::DpopSettings;
use device_grant_domain::limits::StartLimits;
use device_grant_domain::policy::FreshPrompt;
use device_grant_domain::pool::{PoolClient, PoolSecret};
use device_grant_domain::store::Consistency;
use device_grant_domain::{GuessLimits, PollPace, Settings as DomainSettings};
use device_grant_protocol::AuthMethod;
use device_grant_upstream::{Manner, OidcPoolConfig};
use device_grant_web::{OnStoreFailure, SessionLimits, SignIn, WebConfig};
use ipnet::IpNet;
use url::{Host, Url};

use super::cognito::{self, Cognito};
use super::document::Settings;
use super::problem::Problems;
use super::{
    Config, Log, LogFormat, Network, Registrations, StoreConfig, Table, alb, cautions, clients, codes,
    keyring, secrets,
};

/// Parameters of an authorization request that are ours alone.
const OUR_PARAMETERS: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

/// Builds what can be built and notes what is wrong with the rest; with a problem noted the result is not used.
pub(super) fn build(
    service: &Arc<Settings>,
    clients: &[Settings],
    problems: &mut Problems,
) -> Option<Config> {
    let public_url = public_url(service, problems);
    let cognito = cognito::cognito(service, problems);
    let pool = pool(service, cognito.as_ref(), problems);
    let service_client = service_client(service, problems);
    let codes = codes::build(service, clients, problems);
    let store = store(service, problems);
    let keyring = keyring::source(service, &store, problems);
    let clients = clients::build(clients, service, problems);
    let web = web(service, problems);
    let alb = alb::alb(service, problems);
    let network = network(service, problems);
    let authorize_params = authorize_params(service, cognito.is_some(), problems);
    let (public_url, pool, service_client, codes) = (public_url?, pool?, service_client?, codes?);
    let settings = DomainSettings {
        public_url,
        device_code: codes.device_code,
        user_code: codes.user_code,
        lifetime: seconds(service, "codes.lifetime_s"),
        interval: service.whole("codes.interval_s")?,
        poll_reads: poll_reads(service),
        poll_pace: poll_pace(service),
        service_client,
        authorize_params,
        guess_limits: guess_limits(service)?,
        grow_user_codes: !service.flag("codes.allow_weak_codes"),
        start_limits: start_limits(service)?,
        wrong_secret_limit: service.whole("limits.wrong_secrets_per_minute")?,
        vain_pool_call_limit: service.whole("limits.vain_pool_calls_per_minute")?,
        unknown_code_limit: service.whole("limits.unknown_codes_per_minute")?,
        leeway: pool.leeway,
        assertion_life: seconds(service, "limits.assertion_life_s"),
        dpop: DpopSettings {
            nonce: service.flag("dpop.nonce"),
            proof_life: seconds(service, "dpop.proof_life_s"),
        },
        min_trip: seconds(service, "codes.min_trip_s"),
        exchange_deadline: pool.longest_exchange(),
        store_deadline: seconds(service, "store.timeout_s"),
        clock_skew: seconds(service, "store.clock_skew_s"),
    };
    let (keyring, log, warnings) = (keyring?, log(service), Vec::new());
    cautions::add(&settings.public_url, &network, &keyring, problems);
    Some(Config {
        settings,
        clients,
        region: service.text("store.region").map(str::to_owned),
        registrations: Registrations(Arc::clone(service)),
        in_store: service.flag("clients.in_store"),
        cognito,
        from_pool: service.flag("clients.from_pool"),
        pool,
        store,
        keyring,
        refresh_token_rest: Duration::from_hours(24) * service.whole("keyring.refresh_token_rest_days")?,
        web,
        alb,
        network,
        log,
        warnings,
    })
}

fn poll_reads(service: &Settings) -> Consistency {
    match service.text("polls.poll_reads") {
        Some("consistent") => Consistency::Strong,
        _ => Consistency::Eventual,
    }
}

fn poll_pace(service: &Settings) -> PollPace {
    match service.text("polls.poll_pace") {
        Some("shared") => PollPace::Shared,
        _ => PollPace::Memory,
    }
}

fn guess_limits(service: &Settings) -> Option<GuessLimits> {
    Some(GuessLimits {
        per_account: service.whole("limits.guesses_per_code_life")?,
        per_network: service.whole("limits.guesses_per_code_life_per_network")?,
        per_browser: service.whole("limits.anonymous_guesses_per_code_life")?,
        strangers_per_network: service.whole("limits.anonymous_guesses_per_code_life_per_network")?,
    })
}

fn start_limits(service: &Settings) -> Option<StartLimits> {
    Some(StartLimits {
        per_network: service.whole("limits.starts_per_minute_per_network")?,
        per_client_and_network: service.whole("limits.starts_per_minute_per_client_and_network")?,
        client_alarm: service.whole("limits.starts_per_minute_of_a_client_alarm")?,
    })
}

pub(super) fn seconds(service: &Settings, path: &str) -> Duration {
    Duration::from_secs(service.whole(path).unwrap_or_default().into())
}

/// Whether `url` names this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn public_url(service: &Settings, problems: &mut Problems) -> Option<Url> {
    const PATH: &str = "public_url";
    const EXPECTED: &str = "an origin: https:// and a host, such as https://login.example.com";
    let Some(text) = service.text(PATH) else {
        service.miss(PATH, EXPECTED, problems);
        return None;
    };
    let is_origin = |url: &Url| {
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        bare && url.password().is_none() && url.path() == "/" && url.has_host()
    };
    match Url::parse(text).ok().filter(is_origin) {
        Some(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => Some(url),
        Some(url) if url.scheme() == "http" => {
            problems.add(service.wrong(PATH, "https; plain http is for the loopback only"));
            None
        }
        _ => {
            problems.add(service.wrong(PATH, EXPECTED));
            None
        }
    }
}

fn pool(service: &Settings, cognito: Option<&Cognito>, problems: &mut Problems) -> Option<OidcPoolConfig> {
    const PATH: &str = "upstream.issuer";
    const EXPECTED: &str = "the https URL of the user pool's issuer";
    let issuer = match (cognito, service.text(PATH)) {
        (Some(cognito), _) => cognito::issuer(service, cognito, problems),
        (None, Some(issuer)) => issuer.to_owned(),
        // Then the pool's id is missed, or wrong.
        (None, None) if service.text("upstream.preset") == Some("cognito") => return None,
        (None, None) => {
            service.miss(PATH, &format!("{EXPECTED}; for Cognito, upstream.preset = \"cognito\""), problems);
            return None;
        }
    };
    let bare = |url: &Url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match Url::parse(&issuer).ok().filter(bare) {
        Some(url) if url.scheme() == "https" && url.has_host() => {}
        Some(url) if url.scheme() == "http" && is_loopback(&url) => {}
        Some(url) if url.scheme() == "http" => {
            problems.add(service.wrong(PATH, "https; plain http is for a pool on the loopback only"));
        }
        _ => problems.add(service.wrong(PATH, EXPECTED)),
    }
    Some(OidcPoolConfig {
        account_claim: service.text("upstream.account_claim")?.to_owned(),
        leeway: seconds(service, "upstream.leeway_s"),
        total_timeout: seconds(service, "upstream.timeout_s"),
        manner: cognito.map_or(Manner::Standard, Cognito::manner),
        signs_out: service.flag("upstream.sign_out"),
        fresh_prompt: match service.text("upstream.fresh_prompt") {
            Some("login_alone") => FreshPrompt::LoginAlone,
            Some("select_account") => FreshPrompt::SelectAccount,
            _ => FreshPrompt::Login,
        },
        allow_http: issuer.starts_with("http://"),
        ..OidcPoolConfig::new(issuer)
    })
}

fn service_client(service: &Settings, problems: &mut Problems) -> Option<PoolClient> {
    const PATH: &str = "upstream.client_id";
    let secret = secrets::of_pool_client(service, "upstream.client_secret", problems);
    let Some(client_id) = service.text(PATH) else {
        service.miss(PATH, "the id of this service's client at the user pool", problems);
        return None;
    };
    Some(pool_client(service, client_id, secret))
}

/// A client of the pool, authenticating as the pool's section says.
pub(super) fn pool_client(service: &Settings, client_id: &str, secret: Option<PoolSecret>) -> PoolClient {
    let auth_method = match (&secret, service.text("upstream.client_auth")) {
        (None, _) => AuthMethod::None,
        (Some(_), Some("client_secret_post")) => AuthMethod::ClientSecretPost,
        (Some(_), _) => AuthMethod::ClientSecretBasic,
    };
    PoolClient { client_id: client_id.to_owned(), secret, auth_method }
}

fn authorize_params(service: &Settings, is_cognito: bool, problems: &mut Problems) -> Vec<(String, String)> {
    const PATH: &str = "upstream.authorize_params";
    if is_cognito && service.written(PATH).is_none() {
        // As the sample has it: the pool's own accounts.
        return vec![("identity_provider".to_owned(), "COGNITO".to_owned())];
    }
    let pairs = service.pairs(PATH);
    if let Some((name, _)) = pairs.iter().find(|(name, _)| OUR_PARAMETERS.contains(name)) {
        let expected = format!("parameters that the service does not set itself (it sets {name})");
        problems.add(service.wrong(PATH, expected));
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) fn store(service: &Settings, problems: &mut Problems) -> StoreConfig {
    const ENDPOINT: &str = "store.endpoint_url";
    let text = |path| service.text(path).map(str::to_owned);
    if service.text("store.kind") != Some("dynamodb") {
        return StoreConfig::Embedded(PathBuf::from(text("store.path").unwrap_or_default()));
    }
    let is_endpoint = |text: &str| Url::parse(text).is_ok_and(|url| url.has_host());
    if service.text(ENDPOINT).is_some_and(|text| !is_endpoint(text)) {
        problems.add(service.wrong(ENDPOINT, "a URL such as http://127.0.0.1:8000"));
    }
    StoreConfig::DynamoDb(Table {
        name: text("store.table").unwrap_or_default(),
        region: text("store.region"),
        endpoint_url: text(ENDPOINT),
        timeout: seconds(service, "store.timeout_s"),
    })
}

fn web(service: &Settings, problems: &mut Problems) -> WebConfig {
    WebConfig {
        service_name: service.text("web.service_name").unwrap_or_default().to_owned(),
        trusted_proxies: trusted_proxies(service, problems),
        sample_way: service.flag("web.sample_way"),
        on_store_failure: match service.text("polls.on_store_failure") {
            Some("503") => OnStoreFailure::ServiceUnavailable,
            _ => OnStoreFailure::SlowDown,
        },
        sign_in: match service.text("web.sign_in") {
            Some("on-approval") => SignIn::OnApproval,
            // Whoever builds the service puts the balancer in, where there is one.
            _ => SignIn::First,
        },
        sessions: SessionLimits {
            idle: seconds(service, "web.session_idle_s"),
            life: seconds(service, "web.session_s"),
        },
        body_timeout: seconds(service, "network.body_timeout_s"),
    }
}

fn trusted_proxies(service: &Settings, problems: &mut Problems) -> Vec<IpNet> {
    const PATH: &str = "network.trusted_proxies";
    let proxies = networks(service, PATH, problems);
    if proxies.iter().any(|network| network.prefix_len() == 0) {
        let expected = "the networks of the proxies only: this lets everybody forge where they are";
        problems.add(service.wrong(PATH, expected));
    }
    proxies
}

/// The networks and addresses at `path`.
pub(super) fn networks(settings: &Settings, path: &str, problems: &mut Problems) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in settings.texts(path).unwrap_or_default() {
        let network = text.parse::<IpNet>().ok();
        if let Some(network) = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) {
            networks.push(network);
        } else {
            problems.add(settings.wrong(path, format!("networks such as 10.0.0.0/8; {text:?} is none")));
        }
    }
    networks
}

/// The address to listen on at `path`, with its port.
fn address(service: &Settings, path: &str, example: &str, problems: &mut Problems) -> Option<String> {
    let address = service.text(path)?;
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !has_port {
        problems.add(service.wrong(path, format!("an address and a port, such as {example}")));
    }
    Some(address.to_owned())
}

/// Where devices and people are served.
pub(super) fn listen(service: &Settings, problems: &mut Problems) -> String {
    address(service, "listen", "0.0.0.0:8080", problems).unwrap_or_default()
}

fn network(service: &Settings, problems: &mut Problems) -> Network {
    let listen = listen(service, problems);
    let metrics_listen = address(service, "metrics.listen", "127.0.0.1:9090", problems);
    if metrics_listen.as_ref() == Some(&listen) && !listen.ends_with(":0") {
        problems.add(
            service.wrong("metrics.listen", "another address than `listen`: it has a listener of its own"),
        );
    }
    Network {
        listen,
        header_timeout: seconds(service, "network.header_timeout_s"),
        max_connections: service.whole("network.max_connections").map_or(usize::MAX, |most| most as usize),
        requests_at_once: service.whole("limits.requests_at_once").map_or(usize::MAX, |most| most as usize),
        metrics_listen,
        drain_delay: seconds(service, "network.drain_delay_s"),
        drain_timeout: seconds(service, "network.drain_timeout_s"),
    }
}

pub(super) fn log(service: &Settings) -> Log {
    let format = match service.text("log.format") {
        Some("human") => LogFormat::Human,
        _ => LogFormat::Json,
    };
    Log { format, level: service.text("log.level").unwrap_or_default().to_owned() }
}
