//! What all tests of a run share.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use device_grant_testkit::parts::{self, DynamoDbLocal, Process, free_port};
use tokio::sync::OnceCell;

use crate::balancer::{self, Route};
use crate::certificates::Certificates;
use crate::{
    HOP, Installation, Keycloak, LOGIN, MISCONFIGURED, PAIRWISE, POOL, Person, Service, Television, proxy,
    service,
};

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
    login_ports: [u16; 2],
    pairwise_ports: [u16; 2],
    misconfigured_ports: [u16; 2],
    login: OnceCell<Service>,
    pairwise: OnceCell<Service>,
    misconfigured: OnceCell<Service>,
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
        let start = async || service::start(self, LOGIN, self.login_ports, &service::LOGIN_CLIENTS, None);
        self.login.get_or_try_init(start).await
    }

    /// Two replicas for a device client with pairwise subjects, which compare accounts by `preferred_username`.
    pub async fn pairwise(&'static self) -> anyhow::Result<&'static Service> {
        let claim = Some("preferred_username");
        let start =
            async || service::start(self, PAIRWISE, self.pairwise_ports, &service::PAIRWISE_CLIENTS, claim);
        self.pairwise.get_or_try_init(start).await
    }

    /// The same, but comparing subjects, which never are the same.
    pub async fn misconfigured(&'static self) -> anyhow::Result<&'static Service> {
        let ports = self.misconfigured_ports;
        let start =
            async || service::start(self, MISCONFIGURED, ports, &service::MISCONFIGURED_CLIENTS, None);
        self.misconfigured.get_or_try_init(start).await
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

    /// The origin of one of the names, as a browser writes it.
    pub fn origin(&self, name: &str) -> String {
        format!("https://{name}:{}", self.tls_port)
    }

    /// An HTTP client that finds the names under `.test`, trusts the test authority and follows nothing.
    pub fn http_client(&self) -> anyhow::Result<reqwest::Client> {
        http_client(&self.certificates.authority)
    }

    async fn start() -> anyhow::Result<Self> {
        let directory = parts::target().join("e2e");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let names = [LOGIN, PAIRWISE, MISCONFIGURED, POOL, HOP];
        let certificates = Certificates::make(&directory, &names)?;
        let [tls_port, pool_port, chromedriver] = [(); 3].map(|()| free_port());
        let [login_ports, pairwise_ports, misconfigured_ports] = [(); 3].map(|()| [free_port(), free_port()]);

        // The slowest first: it gets up while the others do.
        let mut pool = Keycloak::start(pool_port, tls_port);
        let routes = [
            Route { name: POOL, ports: &[pool_port] },
            Route { name: LOGIN, ports: &login_ports },
            Route { name: PAIRWISE, ports: &pairwise_ports },
            Route { name: MISCONFIGURED, ports: &misconfigured_ports },
        ];
        let haproxy = balancer::start(&directory, tls_port, &certificates, &routes)?;
        let driver = start_chromedriver(chromedriver)?;
        DynamoDbLocal::shared();
        pool.set_up(&http_client(&certificates.authority)?).await?;
        Ok(Self {
            pool,
            tls_port,
            certificates,
            proxy: proxy::start()?,
            directory,
            login_ports,
            pairwise_ports,
            misconfigured_ports,
            login: OnceCell::new(),
            pairwise: OnceCell::new(),
            misconfigured: OnceCell::new(),
            chromedriver,
            _processes: [haproxy, driver],
        })
    }
}

fn start_chromedriver(port: u16) -> anyhow::Result<Process> {
    let mut command = Command::new("chromedriver");
    command.arg(format!("--port={port}"));
    let mut process = Process::start("chromedriver", &command);
    process.wait_for_http(port, "/status", Duration::from_mins(1)).map_err(|problem| anyhow!(problem))?;
    Ok(process)
}

fn http_client(authority: &Path) -> anyhow::Result<reqwest::Client> {
    let authority = reqwest::Certificate::from_pem(&fs::read(authority)?)?;
    let mut builder = reqwest::Client::builder()
        .tls_certs_only([authority])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(30));
    for name in [LOGIN, PAIRWISE, MISCONFIGURED, POOL, HOP] {
        // Port 0: the one that the URL names.
        builder = builder.resolve(name, SocketAddr::from(([127, 0, 0, 1], 0)));
    }
    builder.build().context("no HTTP client")
}
