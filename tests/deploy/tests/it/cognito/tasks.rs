//! `Compute=Fargate`: the release binary as two tasks.

use std::process::Output;

use anyhow::{Context as _, ensure};
use deploy_tests::Compute;
use device_grant_testkit::parts::Process;

use super::{Deployment, PATIENCE};

impl Deployment {
    fn run(&self, verb: &str) -> anyhow::Result<Output> {
        let output = self.command(verb)?.envs(&self.environment).output();
        output.with_context(|| format!("{verb} does not start"))
    }

    /// Starts the tasks at once, on a table that was migrated before.
    pub(super) fn start(&self) -> anyhow::Result<Vec<Process>> {
        let migrated = self.run("migrate")?;
        ensure!(migrated.status.success(), "{migrated:?}");
        let mut tasks = Vec::new();
        for port in &self.ports {
            let mut serve = self.command("serve")?;
            serve.envs(&self.environment).env("DEVICE_GRANT__LISTEN", format!("127.0.0.1:{port}"));
            tasks.push(Process::start("device-grant", &serve));
        }
        for (task, port) in tasks.iter_mut().zip(&self.ports) {
            task.wait_for_http(*port, "/readyz", PATIENCE).map_err(anyhow::Error::msg)?;
        }
        Ok(tasks)
    }
}

/// The app client of the template's device logs in with nothing to register, on whichever replica; of two replicas that start
/// at once one makes the keys, and KMS opens them to both; `doctor` has nothing to mend.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_the_stack_logs_in() -> anyhow::Result<()> {
    let mut deployment = Deployment::prepare("tasks", Compute::Fargate).await?;
    for (name, value) in
        [("DEVICE_GRANT__NETWORK__TRUSTED_PROXIES", "127.0.0.0/8"), ("POLLING_INTERVAL", "1")]
    {
        deployment.environment.insert(name.to_owned(), value.to_owned());
    }
    let before = deployment.run("doctor")?;
    let told = String::from_utf8_lossy(&before.stdout).into_owned();
    ensure!(told.contains("BROKEN  store: the store is at migration 0"), "{told}");

    let _tasks = deployment.start()?;
    let doctor = deployment.run("doctor")?;
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    ensure!(doctor.status.success(), "{told}{}", String::from_utf8_lossy(&doctor.stderr));
    ensure!(told.contains("ok      app clients: they are device clients"), "{told}");

    let television = deployment.television();
    let mut alice = deployment.alice();
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
