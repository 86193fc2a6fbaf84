//! The service of the template at work: the release binary with the template's own settings, on what moto made of the
//! template (table, key, secret, app clients), in front of a pool with Cognito's ways.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use deploy_tests::{Compute, Stack};
use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool, Ways};
use device_grant_testkit::parts::{self, Process, free_port};
use e2e::balancer::{self, Route};
use e2e::{Certificates, Television, binary};
use interop::Person;

const FQDN: &str = "login.example.com";
const REPLICAS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(30);

/// The stack's service, reached as its people and devices reach it.
struct Deployment {
    stack: Stack,
    pool: LoopbackPool,
    environment: BTreeMap<String, String>,
    ports: Vec<u16>,
    replicas: Vec<Process>,
    http: reqwest::Client,
    _haproxy: Process,
}

impl Deployment {
    /// Everything but the replicas runs.
    async fn prepare(name: &str) -> anyhow::Result<Self> {
        let directory = parts::target().join("deploy").join(name);
        fs::create_dir_all(&directory)?;
        let stack = Stack::create(Compute::Fargate);
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
        let ports: Vec<u16> = (0..REPLICAS).map(|_| free_port()).collect();
        // Where a stand-in is, and what it wants to be asked with.
        for (name, value) in [
            ("CUP_DOMAIN", domain.as_str()),
            ("DEVICE_GRANT__UPSTREAM__PRESET", "cognito"),
            ("DEVICE_GRANT__UPSTREAM__ISSUER", pool.issuer()),
            ("DEVICE_GRANT__NETWORK__TRUSTED_PROXIES", "127.0.0.0/8"),
            ("POLLING_INTERVAL", "1"),
            ("AWS_ENDPOINT_URL", stack.endpoint_url()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        let certificates = Certificates::make(&directory, &[FQDN])?;
        let tls_port = free_port();
        let haproxy = balancer::start(&directory, tls_port, &certificates, &[Route::new(FQDN, &ports)])?;
        let authority = reqwest::Certificate::from_pem(&fs::read(&certificates.authority)?)?;
        let http = reqwest::Client::builder()
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve(FQDN, SocketAddr::from(([127, 0, 0, 1], tls_port)))
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { stack, pool, environment, ports, replicas: Vec::new(), http, _haproxy: haproxy })
    }

    /// A command of the program, told what the template tells it.
    fn command(&self, verb: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(binary::path()?);
        command.arg(verb).env_clear().envs(&self.environment);
        Ok(command)
    }

    fn run(&self, verb: &str) -> anyhow::Result<Output> {
        self.command(verb)?.output().with_context(|| format!("{verb} does not start"))
    }

    /// Starts the replicas at once, on a table that was migrated before.
    fn start(&mut self) -> anyhow::Result<()> {
        let migrated = self.run("migrate")?;
        ensure!(migrated.status.success(), "{migrated:?}");
        for port in &self.ports {
            let mut serve = self.command("serve")?;
            serve.env("DEVICE_GRANT__LISTEN", format!("127.0.0.1:{port}"));
            self.replicas.push(Process::start("device-grant", &serve));
        }
        for (replica, port) in self.replicas.iter_mut().zip(&self.ports) {
            replica.wait_for_http(*port, "/readyz", PATIENCE).map_err(anyhow::Error::msg)?;
        }
        Ok(())
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
}

/// The app client of the template's device logs in with nothing to register, on whichever replica; of two replicas that start
/// at once one makes the keys, and KMS opens them to both; `doctor` has nothing to mend.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_the_stack_logs_in() -> anyhow::Result<()> {
    let mut deployment = Deployment::prepare("login").await?;
    let before = deployment.run("doctor")?;
    let told = String::from_utf8_lossy(&before.stdout).into_owned();
    ensure!(told.contains("BROKEN  store: the store is at migration 0"), "{told}");

    deployment.start()?;
    let doctor = deployment.run("doctor")?;
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    ensure!(doctor.status.success(), "{told}{}", String::from_utf8_lossy(&doctor.stderr));
    ensure!(told.contains("ok      app clients: they are device clients"), "{told}");

    let television = deployment.television();
    let mut alice = Person::with(deployment.http.clone(), "alice", "alice");
    for _ in 0..2 {
        let codes = television.start("openid").await?;
        let outcome = alice.approve(&codes.verification_uri, &codes.user_code).await?;
        ensure!(outcome == "approved", "{outcome}");
        let tokens = television.wait(&codes).await?;
        ensure!(tokens.status == 200, "{tokens:?}");
        let refresh_token = tokens.body["refresh_token"].as_str().context("no refresh token")?;
        let refreshed = television.refresh(refresh_token).await?;
        ensure!(refreshed.status == 200, "{refreshed:?}");
        let access_token = tokens.body["access_token"].as_str().context("no access token")?;
        ensure!(deployment.pool.pool().is_live(access_token), "it is not of the pool");
    }
    Ok(())
}
