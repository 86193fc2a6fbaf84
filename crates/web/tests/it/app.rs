//! The service as tests see it: everything real but the clock, the entropy and the wire.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use device_grant_dev_pool::{DevClient, DevPool, DevPoolConfig, LoopbackPool};
use device_grant_domain::client::{
    ClientAuth, ClientKeys, ClientSource, Clients, DeviceClient, Grants, PoolBinding,
};
use device_grant_domain::pool::PoolClient;
use device_grant_domain::{Clock, DeviceGrant, Entropy, KeyMaterial, Keyring, Ports, Settings};
use device_grant_protocol::{AuthMethod, ClientSecret, GRANT_TYPE_DEVICE_CODE};
use device_grant_store_embedded::MemoryStore;
use device_grant_testkit::{FaultyStore, FixedClock, SeededEntropy, device_client, settings};
use device_grant_upstream::{OidcPool, OidcPoolConfig, RemoteKeys};
use device_grant_web::{Health, Load, OnStoreFailure, SessionLimits, SignIn, WebConfig, router};
use http_body_util::BodyExt;
use tower::ServiceExt;

pub const PUBLIC_URL: &str = "https://login.example.com";
/// Where TLS ends.
pub const BALANCER: &str = "10.0.0.1:4711";

/// A public client on the shared pool client.
pub const TV: &str = "tv";
/// A confidential client with a pool client of its own; its secret is [`SECRET`].
pub const CONSOLE: &str = "console";
/// A confidential client on the shared pool client; same secret, also in the body.
pub const SPEAKER: &str = "speaker";
/// A second public client.
pub const OTHER: &str = "other";
/// A public client that may not start anything.
pub const BARRED: &str = "barred";
/// How long a browser's session lasts here.
pub const SESSIONS: SessionLimits =
    SessionLimits { idle: Duration::from_mins(15), life: Duration::from_hours(1) };
pub const SECRET: &str = "s:+/=%ü";

/// Replicas in front of one store, two unless a test wants more, and the pool behind them.
pub struct TestApp {
    pub replicas: Vec<Router>,
    pub services: Vec<Arc<DeviceGrant>>,
    pub health: Arc<Health>,
    pub load: Arc<Load>,
    pub clock: Arc<FixedClock>,
    /// What every replica's keyring begins with.
    pub keys: Vec<KeyMaterial>,
    pub store: Arc<FaultyStore>,
    pub pool: LoopbackPool,
}

type Change<T> = Box<dyn Fn(&mut T)>;

/// What a test changes.
pub struct Options {
    pub settings: Change<Settings>,
    pub web: Change<WebConfig>,
    pub clients: Change<Vec<DeviceClient>>,
    /// Where each replica looks up whom it does not know.
    pub directory: Option<Box<dyn Fn() -> Box<dyn ClientSource>>>,
    pub pool: Change<DevPoolConfig>,
    pub replicas: usize,
    /// Of all replicas together, in each lane.
    pub places: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Box::new(|_| ()),
            web: Box::new(|_| ()),
            clients: Box::new(|_| ()),
            directory: None,
            pool: Box::new(|_| ()),
            replicas: 2,
            places: 1000,
        }
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    /// The `error` member, after a look at what every error must have (TP-15).
    #[track_caller]
    pub fn error(&self) -> String {
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{self:?}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json", "{self:?}");
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(self.headers[header::PRAGMA], "no-cache");
        let body = self.json();
        if let Some(words) = body.get("error_description") {
            let words = words.as_str().unwrap();
            assert!(words.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\'), "{words}");
        }
        body["error"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A pair of codes.
#[derive(Clone, Debug)]
pub struct Codes {
    pub device_code: String,
    pub user_code: String,
}

/// What an operator would decide about the HTTP face.
pub fn web_config() -> WebConfig {
    WebConfig {
        service_name: "Example".to_owned(),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        sample_way: true,
        on_store_failure: OnStoreFailure::SlowDown,
        sign_in: SignIn::First,
        sessions: SESSIONS,
        body_timeout: Duration::from_secs(20),
    }
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let clock = Arc::new(FixedClock::default());
        let entropy = Arc::new(SeededEntropy::new(7));
        let callback = format!("{PUBLIC_URL}/callback");
        let configure = |issuer| {
            let mut config = DevPoolConfig::new(issuer);
            let own = DevClient::confidential(CONSOLE, SECRET, callback.clone());
            config.clients =
                vec![DevClient::confidential("service", "service-secret", callback.clone()), own];
            (options.pool)(&mut config);
            config
        };
        let pool = LoopbackPool::spawn_with(configure, clock.clone(), entropy.clone()).await.unwrap();
        let memory = Arc::new(MemoryStore::default());
        let store = Arc::new(FaultyStore::new(memory.clone()));
        let keys = Keyring::fresh_material(&*entropy);
        let mut settings = settings(PUBLIC_URL, pool_client("service", "service-secret"));
        (options.settings)(&mut settings);
        let mut clients = clients();
        (options.clients)(&mut clients);
        let known: Arc<Clients> = Arc::new(clients.iter().cloned().collect());
        let mut web = web_config();
        (options.web)(&mut web);
        let health = Arc::new(Health::default());
        health.note_store(Ok(()));
        let load = Arc::new(Load::new(options.places));
        let mut services = Vec::new();
        for _ in 0..options.replicas {
            let config = OidcPoolConfig { allow_http: true, ..OidcPoolConfig::new(pool.issuer()) };
            let oidc = Arc::new(OidcPool::new(config, clock.clone(), entropy.clone()).unwrap());
            oidc.refresh_if_due().await.unwrap();
            let (entropy, clock): (Arc<dyn Entropy>, Arc<dyn Clock>) = (entropy.clone(), clock.clone());
            let clients = match &options.directory {
                None => Arc::clone(&known),
                Some(source) => {
                    let reserved = [settings.service_client.client_id.clone()];
                    Arc::new(clients.iter().cloned().collect::<Clients>().and_of(source(), reserved))
                }
            };
            let ports = Ports {
                store: store.clone(),
                records: memory.clone(),
                pool: oidc,
                client_keys: client_keys(&clients, &clock, &entropy),
                clock: clock.clone(),
                entropy: entropy.clone(),
                observer: Arc::new(()),
            };
            let keyring = Arc::new(Keyring::new(keys.clone()).unwrap());
            services.push(Arc::new(DeviceGrant::new(ports, keyring, clients, settings.clone())));
        }
        let replicas =
            services.iter().map(|service| router(service.clone(), health.clone(), load.clone(), web.clone()));
        let replicas = replicas.collect();
        Self { replicas, services, health, load, clock, keys: keys.to_vec(), store, pool }
    }

    pub fn dev_pool(&self) -> &DevPool {
        self.pool.pool()
    }

    pub fn clock_s(&self) -> u64 {
        device_grant_domain::Clock::now(&*self.clock).as_secs()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Sends a request to replica `replica`, over TLS and through the balancer, from the address in its extensions.
    pub async fn send_to(&self, replica: usize, mut request: Request<Body>) -> Answer {
        let peer: SocketAddr =
            request.extensions().get::<SocketAddr>().copied().unwrap_or(([192, 0, 2, 1], 4711).into());
        let headers = request.headers_mut();
        headers.append("x-forwarded-for", peer.ip().to_string().parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        self.send_from(replica, BALANCER, request).await
    }

    /// Sends a request to replica `replica` as it is, from `peer`.
    pub async fn send_from(&self, replica: usize, peer: &str, mut request: Request<Body>) -> Answer {
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        request.headers_mut().entry(header::HOST).or_insert_with(|| "login.example.com".parse().unwrap());
        let response = self.replicas[replica].clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_to(0, request).await
    }

    /// POSTs a form.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(post(path, form)).await
    }

    /// Starts a request as the public client `client`.
    pub async fn start(&self, client: &str) -> Codes {
        self.start_with(&[("client_id", client)]).await
    }

    pub async fn start_with(&self, form: &[(&str, &str)]) -> Codes {
        let answer = self.post("/device_authorization", form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        codes(&answer)
    }

    /// Starts as the confidential client `client`.
    pub async fn start_confidential(&self, client: &str) -> Codes {
        let answer = self.send(with_basic(post("/device_authorization", &[]), client, SECRET)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        codes(&answer)
    }

    /// Polls as a public client.
    pub async fn poll(&self, client: &str, codes: &Codes) -> Answer {
        self.poll_on(0, client, codes).await
    }

    pub async fn poll_on(&self, replica: usize, client: &str, codes: &Codes) -> Answer {
        self.send_to(replica, post("/token", &poll_form(client, codes))).await
    }

    /// Waits for what a replica does beside its answers.
    pub async fn settle(&self, replica: usize) {
        self.services[replica].tasks.close();
        self.services[replica].tasks.wait().await;
    }

    /// Polls as a confidential client.
    pub async fn poll_confidential(&self, client: &str, codes: &Codes) -> Answer {
        self.send(with_basic(post("/token", &poll_form(client, codes)), client, SECRET)).await
    }
}

pub fn poll_form<'a>(client: &'a str, codes: &'a Codes) -> [(&'a str, &'a str); 3] {
    [("grant_type", GRANT_TYPE_DEVICE_CODE), ("client_id", client), ("device_code", &codes.device_code)]
}

pub fn codes(answer: &Answer) -> Codes {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Codes { device_code: text("device_code"), user_code: text("user_code") }
}

pub fn encode(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

pub fn post(path: &str, form: &[(&str, &str)]) -> Request<Body> {
    raw_post(path, encode(form))
}

pub fn raw_post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into())
        .unwrap()
}

pub fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

/// Adds the header as RFC 6749 section 2.3.1 wants it: both halves form-encoded.
/// As it comes from a device or browser at `address`.
pub fn from(mut request: Request<Body>, address: [u8; 4]) -> Request<Body> {
    request.extensions_mut().insert(SocketAddr::from((address, 4711)));
    request
}

pub fn with_basic(request: Request<Body>, id: &str, secret: &str) -> Request<Body> {
    let encoded = |half: &str| url::form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>();
    with_raw_basic(request, &format!("{}:{}", encoded(id), encoded(secret)))
}

pub fn with_raw_basic(mut request: Request<Body>, halves: &str) -> Request<Body> {
    let value = format!("Basic {}", BASE64_STANDARD.encode(halves));
    request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
    request
}

/// What clients publish, as one replica sees it.
pub fn client_keys(
    clients: &Clients,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Arc<dyn ClientKeys> {
    let clients = clients.all();
    let uris = clients.iter().filter_map(|client| client.auth.jwks_uri().cloned());
    Arc::new(RemoteKeys::new(uris, Arc::clone(clock), entropy).unwrap())
}

pub fn pool_client(id: &str, secret: &str) -> PoolClient {
    PoolClient {
        client_id: id.to_owned(),
        secret: Some(ClientSecret::new(secret).into()),
        auth_method: AuthMethod::ClientSecretBasic,
    }
}

fn clients() -> Vec<DeviceClient> {
    let client = |id: &str, name: &str, auth, pool_client| DeviceClient {
        name: name.to_owned(),
        ..device_client(id, auth, pool_client)
    };
    let secret = |post| ClientAuth::secret(&ClientSecret::new(SECRET), post);
    let barred = Grants { device_code: false, refresh_token: false };
    vec![
        client(TV, "Living Room <TV> & \"Co\"", ClientAuth::None, PoolBinding::Shared),
        client(OTHER, "Other", ClientAuth::None, PoolBinding::Shared),
        client(SPEAKER, "Speaker", secret(true), PoolBinding::Shared),
        client(CONSOLE, "Console", secret(false), PoolBinding::Own(pool_client(CONSOLE, SECRET))),
        DeviceClient { grants: barred, ..client(BARRED, "Barred", ClientAuth::None, PoolBinding::Shared) },
    ]
}
