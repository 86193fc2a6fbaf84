//! Ways back from the pool that are not the person's own.

use anyhow::{Context as _, ensure};
use e2e::{Person, SCOPE, Service, World};

/// Where a browser's page of ours would send it on to, as an attacker reads it there.
async fn way_on(world: &World, service: &Service, person: &Person) -> anyhow::Result<String> {
    let page = format!("{}/device", service.origin());
    person.open(&page).await?;
    let cookies = person.browser().get_all_cookies().await?;
    let jar: Vec<_> = cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
    let go = world.http_client()?.get(format!("{page}/go")).header("Cookie", jar.join("; ")).send().await?;
    let text = go.text().await?;
    e2e::way_on(&text).with_context(|| format!("no way on: {text}"))
}

/// CB-02, RFC 9700 section 4.7: an attacker approves their own device and sends the half-finished trip to somebody who is
/// signed in at the pool: that browser is refused, and the attacker's television gets nothing.
#[tokio::test]
async fn somebody_elses_trip_ends_in_no_other_browser() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let attacker = world.person("trip-attacker").await?;
    attacker.open(&authorization.verification_uri).await?;
    attacker.sign_in("alice").await?;
    attacker.find("input[name=user_code]").await?;
    // Signed in with us and not at the pool any more, the attacker's trip stops at the pool's door.
    attacker.open(&world.pool.endpoint("logout")).await?;
    attacker.click_and_leave("#kc-logout").await?;
    attacker.open(&authorization.verification_uri).await?;
    attacker.enter_code(&authorization.user_code).await?;
    attacker.click("#authorize").await?;
    attacker.find("#username").await?;
    let trip = way_on(world, service, &attacker).await?;
    ensure!(trip.starts_with(&world.pool.endpoint("auth")), "{trip}");

    let victim = world.person("trip-victim").await?;
    victim.open(&format!("{}/device", service.origin())).await?;
    victim.sign_in("bob").await?;
    victim.find("input[name=user_code]").await?;
    victim.open(&trip).await?;
    let refused = victim.find("#error").await?.attr("data-status").await?;
    ensure!(refused.as_deref() == Some("403"), "{refused:?}");
    victim.picture("refused").await?;
    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");

    // In its own browser the trip still ends well: nothing was used up.
    attacker.open(&trip).await?;
    attacker.sign_in("alice").await?;
    ensure!(attacker.outcome().await? == "approved");
    victim.leave().await?;
    attacker.leave().await?;
    ensure!(television.wait(&authorization).await?.status == 200);
    Ok(())
}

/// ST-03, UI-09: two people on one code: the first to authorize wins, and the second is told.
#[tokio::test]
async fn of_two_people_with_one_code_the_second_is_told() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let person = world.person(&format!("one-code-{name}")).await?;
        person.enter_code_as(name, &authorization).await?;
        people.push(person);
    }
    for (person, told) in people.iter().zip(["approved", "taken"]) {
        person.click("#authorize").await?;
        let outcome = person.outcome().await?;
        ensure!(outcome == told, "{outcome}, not {told}");
    }
    for person in people {
        person.leave().await?;
    }
    ensure!(television.wait(&authorization).await?.status == 200);
    Ok(())
}
