//! `web.sign_in = "on-approval"`: people sign in after they have authorized.

use anyhow::ensure;
use e2e::{Person, SCOPE, World};

/// How often the browser has been sent to the pool since this was last asked.
async fn trips(world: &World, person: &Person) -> anyhow::Result<usize> {
    let door = world.pool.endpoint("auth");
    let asked = person.asked_for().await?;
    Ok(asked.iter().filter(|address| address.starts_with(&door) && !address.contains("detour=")).count())
}

/// UI-01, CB-11, CB-14: the code first, without an account; after Authorize one trip signs in and grants, and the last page says
/// who that was.
#[tokio::test]
async fn on_approval_one_trip_signs_in_and_grants() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.approval().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let person = world.person("on-approval").await?;
    person.open(&authorization.verification_uri).await?;
    person.enter_code(&authorization.user_code).await?;
    let page = person.text("body").await?;
    ensure!(page.contains("Living Room TV") && page.contains("You sign in after you authorize"), "{page}");
    ensure!(!page.contains("Not you?") && trips(world, &person).await? == 0, "nobody was to sign in yet");

    person.click("#authorize").await?;
    person.sign_in("alice").await?;
    ensure!(person.outcome().await? == "approved");
    let page = person.text("main").await?;
    ensure!(page.contains("Alice"), "the last page does not say who it was: {page}");
    let address = person.address().await?;
    ensure!(address.query().is_none(), "{address}");
    let trips = trips(world, &person).await?;
    ensure!(trips == 1, "{trips} trips to the pool");
    person.leave().await?;
    let answer = television.wait(&authorization).await?;
    ensure!(answer.status == 200 && answer.body["refresh_token"].is_string(), "{answer:?}");
    let again = television.poll_later(&authorization).await?;
    ensure!(again.error() == "invalid_grant", "{again:?}");
    Ok(())
}

/// CB-12, UI-09, ST-03: two people have the code and both are on their way; who comes back first has it, the other is told, and
/// what is handed over is the first one's.
#[tokio::test]
async fn on_approval_of_two_people_who_come_back_one_wins() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.approval().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let person = world.person(&format!("on-approval-{name}")).await?;
        person.open(&authorization.verification_uri).await?;
        person.enter_code(&authorization.user_code).await?;
        person.click("#authorize").await?;
        person.find("#username").await?;
        people.push((name, person));
    }
    for ((name, person), told) in people.iter().rev().zip(["approved", "taken"]) {
        person.sign_in(name).await?;
        let outcome = person.outcome().await?;
        ensure!(outcome == told, "{name} is told {outcome}, not {told}");
        let page = person.text("main").await?;
        ensure!(page.contains("Bob") == (*name == "bob") && !page.contains("Alice"), "{name} reads {page}");
    }
    for (_, person) in people {
        person.leave().await?;
    }
    let answer = television.wait(&authorization).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// TP-09, UI-10: whoever has the code may say no, and needs no account for it.
#[tokio::test]
async fn on_approval_a_no_needs_no_account() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.approval().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let person = world.person("on-approval-no").await?;
    person.open(&authorization.verification_uri).await?;
    person.enter_code(&authorization.user_code).await?;
    person.click("#deny").await?;
    ensure!(person.outcome().await? == "denied");
    ensure!(trips(world, &person).await? == 0, "a no went to the pool");
    person.leave().await?;
    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.status == 400 && answer.error() == "access_denied", "{answer:?}");
    Ok(())
}
