//! What all tests of a run share.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use device_grant_testkit::parts::{self, DynamoDbLocal, Process, free_port};
use tokio::sync::OnceCell;

use crate::balancer::{self, Route};
use crate::certificates::Certificates;
use crate::gatekeeper::{self, Gatekeeper};
use crate::realm::realm;
use crate::service::{self, Plan};
use crate::{
    APPROVAL, Attacker, BALANCED, ByHand, Installation, Keycloak, LOGIN, MISCONFIGURED, NAMES, NEIGHBOUR,
    PAIRWISE, POOL, Person, Service, Television, proxy,
};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
const NEIGHBOURS_PAGE: &str = "<main id=done></main><script>
    for (const cookie of decodeURIComponent(location.hash.slice(1)).split('\\n')) document.cookie = cookie;
</script>";

/// The parts, running. Dropped or not, they end with the test process.
pub struct World {
    /// The user pool.
    pub pool: Keycloak,
    pub(crate) tls_port: u16,
    pub(crate) certificates: Certificates,
    /// Where the servers find a way to names under `.test`.
    pub(crate) proxy: SocketAddr,
    /// Files of this run.
    pub(crate) directory: PathBuf,
    login: Place,
    pairwise: Place,
    misconfigured: Place,
    approval: Place,
    balanced: Place,
    gatekeeper_port: u16,
    gatekeeper: OnceCell<Arc<Gatekeeper>>,
    chromedriver: u16,
    _processes: [Process; 2],
}

impl World {
    /// The one world of this run; the first to ask starts it.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static WORLD: OnceCell<Result<World, String>> = OnceCell::const_new();
        // What failed once would fail again, and take its time.
        let start = async || Self::start().await.map_err(|problem| format!("{problem:#}"));
        WORLD
            .get_or_init(start)
            .await
            .as_ref()
            .map_err(|problem| anyhow!("the parts do not start: {problem}"))
    }

    /// Two replicas, whose device clients have pool clients of their own.
    pub async fn login(&'static self) -> anyhow::Result<&'static Service> {
        self.login.service(self, &Plan::new(LOGIN, &service::LOGIN_CLIENTS)).await
    }

    /// Two replicas for a device client with pairwise subjects, which compare accounts by `preferred_username`.
    pub async fn pairwise(&'static self) -> anyhow::Result<&'static Service> {
        let account_claim = Some("preferred_username");
        let plan = Plan { account_claim, ..Plan::new(PAIRWISE, &service::PAIRWISE_CLIENTS) };
        self.pairwise.service(self, &plan).await
    }

    /// The same, but comparing subjects, which never are the same.
    pub async fn misconfigured(&'static self) -> anyhow::Result<&'static Service> {
        self.misconfigured.service(self, &Plan::new(MISCONFIGURED, &service::MISCONFIGURED_CLIENTS)).await
    }

    /// Two replicas where people sign in only after they have authorized.
    pub async fn approval(&'static self) -> anyhow::Result<&'static Service> {
        let sections = "[web]\nsign_in = \"on-approval\"\n".to_owned();
        let plan = Plan { sections, ..Plan::new(APPROVAL, &service::LOGIN_CLIENTS) };
        self.approval.service(self, &plan).await
    }

    /// Two replicas behind a load balancer that signs people in, and that balancer. Both it and the pool name people by
    /// `preferred_username`.
    pub async fn balanced(&'static self) -> anyhow::Result<(&'static Service, &'static Gatekeeper)> {
        let start = async || Gatekeeper::start(self.gatekeeper_port, self.balanced.ports, self.pool.issuer());
        let gatekeeper = self.gatekeeper.get_or_try_init(start).await?;
        let plan = Plan {
            account_claim: Some("preferred_username"),
            proxy: gatekeeper::ADDRESS,
            sections: gatekeeper.sections(),
            ..Plan::new(BALANCED, &service::LOGIN_CLIENTS)
        };
        Ok((self.balanced.service(self, &plan).await?, gatekeeper))
    }

    /// A configuration of one server, whose table nothing has made yet.
    pub fn installation(&self, table: &str) -> anyhow::Result<Installation> {
        Installation::prepare(self, table)
    }

    /// A device with the given registration at `service`.
    pub fn television(&self, service: &Service, client_id: &str) -> anyhow::Result<Television> {
        Ok(Television::new(self.http_client()?, service.origin().to_owned(), client_id))
    }

    /// A browser of its own, whose screenshots are named after `story`.
    pub async fn person(&self, story: &str) -> anyhow::Result<Person> {
        Person::start(self.chromedriver, &self.certificates.public_key_hash, story).await
    }

    /// Somebody without a browser.
    pub fn by_hand(&self) -> anyhow::Result<ByHand> {
        Ok(ByHand::new(self.http_client()?))
    }

    /// The origin of one of the names, as a browser writes it.
    pub fn origin(&self, name: &str) -> String {
        format!("https://{name}:{}", self.tls_port)
    }

    /// An HTTP client that finds the names under `.test`, trusts the test authority and follows nothing.
    pub fn http_client(&self) -> anyhow::Result<reqwest::Client> {
        http_client(&self.certificates.authority, PATIENCE)
    }

    async fn start() -> anyhow::Result<Self> {
        let directory = parts::target().join("e2e");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let certificates = Certificates::make(&directory, &NAMES)?;
        let [tls_port, pool_port, chromedriver, gatekeeper_port] = [(); 4].map(|()| free_port());
        let [login, pairwise, misconfigured, approval, balanced] = [(); 5].map(|()| Place::new());
        let neighbour = Attacker::start(NEIGHBOURS_PAGE.to_owned())?;

        // The slowest first: it gets up while the others do.
        let mut pool = Keycloak::start(pool_port, tls_port);
        let routes = [
            Route::new(POOL, &[pool_port]),
            Route::new(LOGIN, &login.ports),
            Route::new(PAIRWISE, &pairwise.ports),
            Route::new(MISCONFIGURED, &misconfigured.ports),
            Route::new(APPROVAL, &approval.ports),
            Route::new(BALANCED, &[gatekeeper_port]),
            Route::new(NEIGHBOUR, &[neighbour.port()]),
        ];
        let haproxy = balancer::start(&directory, tls_port, &certificates, &routes)?;
        let driver = start_chromedriver(chromedriver)?;
        DynamoDbLocal::shared();
        pool.set_up(&http_client(&certificates.authority, PATIENCE)?, &realm(tls_port)?).await?;
        Ok(Self {
            pool,
            tls_port,
            certificates,
            proxy: proxy::start()?,
            directory,
            login,
            pairwise,
            misconfigured,
            approval,
            balanced,
            gatekeeper_port,
            gatekeeper: OnceCell::new(),
            chromedriver,
            _processes: [haproxy, driver],
        })
    }
}

/// Where the replicas of a service listen, and the service once somebody has asked for it.
struct Place {
    ports: [u16; 2],
    service: OnceCell<Service>,
}

impl Place {
    fn new() -> Self {
        Self { ports: [free_port(), free_port()], service: OnceCell::new() }
    }

    async fn service(&self, world: &World, plan: &Plan) -> anyhow::Result<&Service> {
        let start = async || service::start(world, plan, self.ports);
        self.service.get_or_try_init(start).await
    }
}

fn start_chromedriver(port: u16) -> anyhow::Result<Process> {
    let mut command = Command::new("chromedriver");
    command.arg(format!("--port={port}"));
    let mut process = Process::start("chromedriver", &command);
    process.wait_for_http(port, "/status", Duration::from_mins(1)).map_err(|problem| anyhow!(problem))?;
    Ok(process)
}

/// An HTTP client that finds the names under `.test`, trusts this authority (a PEM file) and follows nothing.
pub fn http_client(authority: &Path, timeout: Duration) -> anyhow::Result<reqwest::Client> {
    let authority = reqwest::Certificate::from_pem(&fs::read(authority)?)?;
    let mut builder = reqwest::Client::builder()
        .tls_certs_only([authority])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout);
    for name in NAMES {
        // Port 0: the one that the URL names.
        builder = builder.resolve(name, SocketAddr::from(([127, 0, 0, 1], 0)));
    }
    builder.build().context("no HTTP client")
}
