//! The service of the template at work: the program with the template's own settings, on what moto made of the template
//! (table, key, secret, app clients), in front of a pool with Cognito's ways.

mod balancer;
mod copies;
mod function;
mod rotation;
mod tasks;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use deploy_tests::{Compute, Stack};
use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool, Ways};
use device_grant_testkit::parts::{self, Process, free_port};
use e2e::balancer::Route;
use e2e::{Certificates, Television, binary};
use interop::Person;

const FQDN: &str = "login.example.com";
const REPLICAS: usize = 2;
/// From where devices and people come.
const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 7));
const PATIENCE: Duration = Duration::from_secs(30);

/// The stack and what is around its service, reached as its people and devices reach it. The service itself is not there yet.
struct Deployment {
    stack: Stack,
    pool: LoopbackPool,
    /// What the template tells the service, and what stands in for it here.
    environment: BTreeMap<String, String>,
    /// Where the balancer looks for it.
    ports: Vec<u16>,
    http: reqwest::Client,
    _haproxy: Process,
}

impl Deployment {
    async fn prepare(name: &str, compute: Compute) -> anyhow::Result<Self> {
        let directory = parts::target().join("deploy").join(name);
        fs::create_dir_all(&directory)?;
        let stack = Stack::create(compute);
        let mut environment = stack.environment().clone();
        let pool_id = environment["CUP_ID"].clone();
        let clients = stack.clients().values().map(|client| {
            let text = |name: &str| client[name].as_str().unwrap_or_default();
            DevClient::confidential(
                text("ClientId"),
                text("ClientSecret"),
                format!("https://{FQDN}/callback"),
            )
        });
        let clients = clients.collect();
        let pool = LoopbackPool::spawn(|mut issuer| {
            issuer.set_path(&pool_id);
            DevPoolConfig { clients, ways: Ways::Cognito, ..DevPoolConfig::new(issuer) }
        });
        let pool = pool.await?;
        let domain = pool.issuer().trim_end_matches(&pool_id).trim_end_matches('/').to_owned();
        for (name, value) in [
            ("CUP_DOMAIN", domain.as_str()),
            ("DEVICE_GRANT__UPSTREAM__PRESET", "cognito"),
            ("DEVICE_GRANT__UPSTREAM__ISSUER", pool.issuer()),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        let ports: Vec<u16> = (0..REPLICAS).map(|_| free_port()).collect();
        let certificates = Certificates::make(&directory, &[FQDN])?;
        let tls_port = free_port();
        let route = Route::new(FQDN, &ports);
        let haproxy = e2e::balancer::start(&directory, tls_port, &certificates, &[route])?;
        let authority = reqwest::Certificate::from_pem(&fs::read(&certificates.authority)?)?;
        let http = reqwest::Client::builder()
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .local_address(SENDER)
            .resolve(FQDN, SocketAddr::from(([127, 0, 0, 1], tls_port)))
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { stack, pool, environment, ports, http, _haproxy: haproxy })
    }

    /// How AWS is reached from this machine.
    fn aws(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", self.stack.endpoint_url()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// A command of the program, which knows nothing but AWS.
    fn command(&self, verb: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(binary::path()?);
        command.arg(verb).env_clear().envs(self.aws());
        Ok(command)
    }

    /// The television of the template.
    fn television(&self) -> Television {
        let client = &self.stack.clients()["DeviceClient"];
        let text = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
        Television::with_secret(
            self.http.clone(),
            format!("https://{FQDN}"),
            (&text("ClientId"), &text("ClientSecret")),
        )
    }

    /// Somebody whom the pool knows, with a fresh browser.
    fn alice(&self) -> Person {
        Person::with(self.http.clone(), "alice", "alice")
    }
}
