//! Sign-in and the device's grant go through different pool clients: the person must be the same all the same.

use anyhow::ensure;
use e2e::{SCOPE, Service, World};

/// What the person sees, and the error of the device's next poll.
async fn approve(
    world: &World,
    service: &Service,
    client_id: &str,
    story: &str,
) -> anyhow::Result<(String, String)> {
    let television = world.television(service, client_id)?;
    let authorization = television.start(SCOPE).await?;
    let person = world.person(story).await?;
    person.enter_code_as("alice", &authorization).await?;
    person.click("#authorize").await?;
    let outcome = person.outcome().await?;
    person.leave().await?;
    let answer = television.poll_later(&authorization).await?;
    ensure!((answer.status == 200) == answer.error().is_empty(), "{answer:?}");
    Ok((outcome, answer.error().to_owned()))
}

/// CB-11: the pool gives both clients the same subject.
#[tokio::test]
async fn plain_subjects_need_no_other_claim() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let (outcome, error) = approve(world, world.login().await?, "tv-two", "plain-subjects").await?;
    ensure!(outcome == "approved" && error.is_empty(), "{outcome} {error}");
    Ok(())
}

/// CB-11: pairwise subjects differ, the configured claim does not.
#[tokio::test]
async fn pairwise_subjects_work_with_another_claim() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let (outcome, error) = approve(world, world.pairwise().await?, "tv-pairwise", "pairwise").await?;
    ensure!(outcome == "approved" && error.is_empty(), "{outcome} {error}");
    Ok(())
}

/// CB-11: without that claim nobody is mistaken for somebody else, and the doctor names the setting.
#[tokio::test]
async fn pairwise_subjects_without_another_claim_are_refused() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.misconfigured().await?;
    let (outcome, error) = approve(world, service, "tv-misconfigured", "misconfigured").await?;
    ensure!(outcome == "account_differs" && error == "authorization_pending", "{outcome} {error}");
    let doctor = service.doctor()?;
    let said =
        String::from_utf8_lossy(&doctor.stdout).into_owned() + &*String::from_utf8_lossy(&doctor.stderr);
    ensure!(said.contains("account_claim"), "the doctor says nothing of account_claim: {said}");
    Ok(())
}
