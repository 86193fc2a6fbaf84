//! A device's session is its own.

use anyhow::{Context as _, ensure};
use e2e::{Person, SCOPE, Television, World};

/// Lets the signed-in person approve the television, and returns its refresh token.
async fn approve(person: &Person, television: &Television) -> anyhow::Result<String> {
    let authorization = television.start(SCOPE).await?;
    person.open(&authorization.verification_uri).await?;
    person.enter_code(&authorization.user_code).await?;
    person.click("#authorize").await?;
    ensure!(person.outcome().await? == "approved");
    let answer = television.wait(&authorization).await?;
    Ok(answer.body["refresh_token"].as_str().with_context(|| format!("{answer:?}"))?.to_owned())
}

/// RT-01: the device goes on after the browser has left the pool.
#[tokio::test]
async fn refresh_works_after_the_browser_has_signed_out() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let person = world.person("sign-out").await?;
    let page = format!("{}/device", service.origin());
    person.open(&page).await?;
    person.sign_in("alice").await?;
    let refresh_token = approve(&person, &television).await?;

    person.open(&page).await?;
    person.click("#sign-out").await?;
    person.click_and_leave("#kc-logout").await?;
    person.open(&page).await?;
    person.find("#username").await?;
    person.leave().await?;

    let answer = television.refresh(&refresh_token).await?;
    ensure!(answer.status == 200 && answer.body["access_token"].is_string(), "{answer:?}");
    Ok(())
}

/// RT-10: two devices of two pool clients, approved from one browser, do not end one another.
#[tokio::test]
async fn revoking_one_device_leaves_the_other_alone() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let (first, second) = (world.television(service, "tv")?, world.television(service, "tv-two")?);
    let person = world.person("two-devices").await?;
    person.open(&format!("{}/device", service.origin())).await?;
    person.sign_in("bob").await?;
    let of_first = approve(&person, &first).await?;
    let of_second = approve(&person, &second).await?;
    person.leave().await?;

    let revoked = first.revoke(&of_first).await?;
    ensure!(revoked.status == 200, "{revoked:?}");
    let dead = first.refresh(&of_first).await?;
    ensure!(dead.status == 400 && dead.error() == "invalid_grant", "{dead:?}");
    let alive = second.refresh(&of_second).await?;
    ensure!(alive.status == 200, "{alive:?}");
    Ok(())
}

/// What Keycloak does, for whoever wonders why two televisions log out together: the offline sessions of one browser are
/// one for each pool client. Revoking a device ends every device of the same pool client that was approved in the same
/// browser session, and none that was approved in another.
#[tokio::test]
async fn two_devices_of_one_pool_client_share_keycloaks_session() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let mut tokens = Vec::new();
    for (story, devices) in [("one-browser", 2), ("another-browser", 1)] {
        let person = world.person(story).await?;
        person.open(&format!("{}/device", service.origin())).await?;
        person.sign_in("bob").await?;
        for _ in 0..devices {
            tokens.push(approve(&person, &television).await?);
        }
        person.leave().await?;
    }
    for token in &tokens {
        let alive = television.refresh(token).await?;
        ensure!(alive.status == 200, "{alive:?}");
    }

    let revoked = television.revoke(&tokens[0]).await?;
    ensure!(revoked.status == 200, "{revoked:?}");
    for token in &tokens[..2] {
        let dead = television.refresh(token).await?;
        ensure!(dead.status == 400 && dead.error() == "invalid_grant", "{dead:?}");
    }
    let alive = television.refresh(&tokens[2]).await?;
    ensure!(alive.status == 200, "{alive:?}");
    Ok(())
}
