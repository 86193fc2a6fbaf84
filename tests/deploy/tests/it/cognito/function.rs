//! `Compute=Lambda`: the program of the image as two copies of the function, frozen while nobody invokes them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail, ensure};
use deploy_tests::{Compute, run, scratch};
use device_grant_dev_pool::Endpoint;

use super::copies::{Function, Place};
use super::{Deployment, FQDN};
use crate::image::Image;

impl Deployment {
    /// The function, from the image: nobody in particular on a root that cannot be written to.
    fn function(&self, name: &str) -> anyhow::Result<Arc<Function>> {
        let data = scratch(&format!("{name}-data"))?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o555))?;
        let mut serve = Image::shared().command(&data, &["serve"], &[]);
        serve.envs(&self.environment).envs(self.aws());
        Ok(Arc::new(Function::of_the_template(serve)))
    }

    /// What an operator does once, with the variables that docs/deploy/cloudformation.md names.
    fn migrate(&self) -> anyhow::Result<()> {
        let named = ["DYNAMODB_TABLE", "CUP_REGION"].map(|name| (name, &self.environment[name]));
        let (migrated, said) = run(self.command("migrate")?.envs(named))?;
        ensure!(migrated, "{said}");
        Ok(())
    }

    /// Copies of the function that requests reach in turn.
    async fn open(&self, function: &Arc<Function>) -> anyhow::Result<Vec<Arc<Place>>> {
        let mut places = Vec::new();
        for port in &self.ports {
            places.push(Place::open(function, *port).await?);
        }
        Ok(places)
    }
}

/// The lines of the copies' logs in which one of these words stands.
async fn logged(places: &[Arc<Place>], words: &[&str]) -> String {
    let mut log = String::new();
    for place in places {
        log += &place.output().await;
    }
    log.lines().filter(|line| words.iter().any(|word| line.contains(word))).collect::<Vec<_>>().join("\n")
}

/// A person at the target group as the template has it, and as it is by default: there a sign-in cannot work, and the log
/// says why.
async fn pages_want_all_values(deployment: &Deployment, function: &Function) -> anyhow::Result<()> {
    let television = deployment.television();
    let codes = television.start("openid").await?;
    function.multi_value.store(false, Ordering::SeqCst);
    let refused = deployment.alice().approve(&codes.verification_uri, &codes.user_code).await;
    function.multi_value.store(true, Ordering::SeqCst);
    ensure!(refused.is_err_and(|page| format!("{page:#}").contains("not set up for this page")));
    Ok(())
}

/// TP-03, SEC-11, SEC-13: the app client of the template's device logs in through two copies that share no memory: the
/// tokens are handed out once, and a poll that is too early for one copy is so for the other. The load balancer is believed
/// where requests come from, and what has not come over TLS is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_the_stack_logs_in() -> anyhow::Result<()> {
    let deployment = Deployment::prepare("function", Compute::Lambda).await?;
    let function = deployment.function("function")?;
    let refused = function.copy().await.err().context("it starts on a table without a schema")?;
    ensure!(refused.to_string().contains("run `device-grant migrate`"), "{refused}");
    deployment.migrate()?;
    let places = deployment.open(&function).await?;

    let television = deployment.television();
    let codes = television.start("openid").await?;
    let early = television.poll(&codes).await?;
    ensure!(early.error() == "authorization_pending", "{early:?}");
    let too_early = television.poll(&codes).await?;
    ensure!(
        too_early.error() == "slow_down" && too_early.replica != early.replica,
        "{early:?} {too_early:?}"
    );

    let codes = television.start("openid").await?;
    let outcome = deployment.alice().approve(&codes.verification_uri, &codes.user_code).await?;
    ensure!(outcome == "approved", "{outcome}");
    let tokens = television.poll(&codes).await?;
    ensure!(tokens.status == 200, "{tokens:?}");
    let again = television.poll(&codes).await?;
    ensure!(again.error() == "invalid_grant" && again.replica != tokens.replica, "{tokens:?} {again:?}");
    let access_token = tokens.body["access_token"].as_str().context("no access token")?;
    ensure!(deployment.pool.pool().is_live(access_token), "it is not of the pool");
    let refresh_token = tokens.body["refresh_token"].as_str().context("no refresh token")?;
    let refreshed = television.refresh(refresh_token).await?;
    ensure!(refreshed.status == 200, "{refreshed:?}");
    let complaints = logged(&places, &["WARN", "ERROR"]).await;
    ensure!(complaints.is_empty(), "{complaints}");
    let networks = logged(&places, &["\"network\""]).await;
    ensure!(!networks.is_empty() && networks.lines().all(|line| line.contains("127.0.7.x")), "{networks}");

    pages_want_all_values(&deployment, &function).await?;
    let past = format!("http://127.0.0.1:{}/device_authorization", deployment.ports[0]);
    let past =
        deployment.http.post(past).header("Host", FQDN).header("X-Forwarded-Proto", "http").send().await?;
    ensure!(past.status() == 400, "{past:?}");
    let told = logged(&places, &["WARN", "ERROR"]).await;
    ensure!(told.contains("lambda.multi_value_headers.enabled") && told.contains("without TLS"), "{told}");
    Ok(())
}

/// A copy ends in the midst of an exchange. The poll that takes it over is answered when that is done, since its copy is frozen
/// then: the next poll, at the other copy, gets the tokens.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_copy_has_begun_another_finishes() -> anyhow::Result<()> {
    let mut deployment = Deployment::prepare("lost-copy", Compute::Lambda).await?;
    // The lease of an exchange is three times this, and eight seconds.
    deployment.environment.insert("DEVICE_GRANT__UPSTREAM__TIMEOUT_S".to_owned(), "3".to_owned());
    deployment.migrate()?;
    let function = deployment.function("lost-copy")?;
    let places = deployment.open(&function).await?;
    let faults = deployment.pool.pool().faults();

    let television = Arc::new(deployment.television());
    let mut alice = deployment.alice();
    // Signing in is an exchange, too: afterwards only the approval is one.
    let codes = television.start("openid").await?;
    alice.approve(&codes.verification_uri, &codes.user_code).await?;
    let codes = Arc::new(television.start("openid").await?);
    let exchange = faults.hold_next(Endpoint::Token);
    let lose = async {
        exchange.arrived().await;
        for place in &places {
            place.lose();
        }
    };
    let (approval, ()) = tokio::join!(alice.approve(&codes.verification_uri, &codes.user_code), lose);
    ensure!(approval.as_ref().is_err_and(|page| format!("{page:#}").contains("502")), "{approval:?}");

    let exchange = faults.hold_next(Endpoint::Token);
    // By the fourth poll the lease of 17 seconds is over.
    for _ in 0..4 {
        let (device, its) = (Arc::clone(&television), Arc::clone(&codes));
        let mut poll = tokio::spawn(async move { device.poll_later(&its).await });
        tokio::select! {
            answer = &mut poll => {
                let answer = answer??;
                ensure!(answer.error() == "authorization_pending", "{answer:?}");
            }
            () = exchange.arrived() => {
                // Long enough for an answer that does not wait.
                television.start("openid").await?;
                ensure!(!poll.is_finished(), "{:?}", poll.await);
                exchange.release();
                let waited = poll.await??;
                ensure!(waited.error() == "authorization_pending", "{waited:?}");
                // Then it is the other copy's turn.
                television.start("openid").await?;
                let tokens = television.poll_later(&codes).await?;
                ensure!(tokens.status == 200 && tokens.replica != waited.replica, "{waited:?} {tokens:?}");
                return Ok(());
            }
        }
    }
    bail!("no poll takes the exchange over")
}
