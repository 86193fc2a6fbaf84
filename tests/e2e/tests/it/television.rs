//! A television logs in, and a person decides.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use e2e::{Person, SCOPE, World};
use serde_json::json;
use thirtyfour::Key;

/// TP-02, TP-07, UI-01, UI-11, CB-08, CB-14, SEC-04, SEC-05: from start to tokens with the pool on another site, polls on
/// both replicas.
#[tokio::test]
async fn a_television_logs_in_whichever_replica_its_polls_reach() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let mut replicas = BTreeSet::new();
    for _ in 0..8 {
        let answer = television.poll_later(&authorization).await?;
        ensure!(answer.status == 400 && answer.error() == "authorization_pending", "{answer:?}");
        replicas.insert(answer.replica);
    }
    ensure!(replicas.len() == 2, "the polls reached only {replicas:?}");

    let person = world.person("login").await?;
    person.enter_code_as("alice", &authorization).await?;
    let page = person.text("main").await?;
    ensure!(page.contains("Living Room TV") && page.contains(&authorization.user_code), "{page}");
    let header = person.text("header").await?;
    ensure!(header.contains("Alice"), "the page does not say who is signed in: {header}");
    check_cookies(&person).await?;
    person.click("#authorize").await?;
    ensure!(person.outcome().await? == "approved");
    let address = person.address().await?;
    ensure!(address.query().is_none(), "code and state are still in the address bar: {address}");
    check_cookies(&person).await?;
    person.leave().await?;

    let answer = television.wait(&authorization).await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(answer.body["token_type"] == "Bearer" && answer.body["access_token"].is_string(), "{answer:?}");
    ensure!(answer.body["refresh_token"].is_string() && answer.body["id_token"].is_string(), "{answer:?}");
    let again = television.poll_later(&authorization).await?;
    ensure!(again.error() == "invalid_grant", "a second hand-over: {again:?}");
    Ok(())
}

/// DA-04, UI-02, UI-03: the link of the QR code fills the field in and decides nothing.
#[tokio::test]
async fn a_link_with_the_code_only_fills_it_in() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let complete = authorization.body["verification_uri_complete"].as_str().context("no complete address")?;

    let person = world.person("link").await?;
    person.open(complete).await?;
    person.sign_in("alice").await?;
    let field = person.find("input[name=user_code]").await?;
    let filled_in = field.value().await?;
    ensure!(filled_in.as_deref() == Some(&*authorization.user_code), "filled in: {filled_in:?}");
    let old_link = format!("{}/device?code={}&authorize=true", service.origin(), authorization.user_code);
    person.open(&old_link).await?;
    person.find("#continue").await?;
    person.picture("old-link").await?;
    person.leave().await?;

    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");
    Ok(())
}

/// TP-09, UI-10: Deny is final, and says so on both sides.
#[tokio::test]
async fn a_denied_television_hears_it_at_every_poll() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;

    let person = world.person("deny").await?;
    person.enter_code_as("bob", &authorization).await?;
    person.click("#deny").await?;
    ensure!(person.outcome().await? == "denied");
    person.leave().await?;

    for _ in 0..2 {
        let answer = television.poll_later(&authorization).await?;
        ensure!(answer.status == 400 && answer.error() == "access_denied", "{answer:?}");
    }
    Ok(())
}

/// UI-06, UI-08: Enter on the page that asks decides nothing; a click on Authorize gets past our own Referrer-Policy.
#[tokio::test]
async fn enter_decides_nothing_and_a_click_does() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let person = world.person("enter").await?;
    person.enter_code_as("alice", &authorization).await?;

    // Also gone as soon as the page is another one.
    let watch = "window.seen = []; for (const type of ['keydown', 'submit'])
        addEventListener(type, event => window.seen.push(event.key ?? event.type), true);";
    person.browser().execute(watch, Vec::new()).await?;
    person.browser().action_chain().send_keys(Key::Enter).perform().await?;
    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");
    person.find("#authorize").await?;
    let seen = person.browser().execute("return window.seen;", Vec::new()).await?;
    ensure!(seen.json() == &json!(["Enter"]), "the page has seen {}", seen.json());

    person.click("#authorize").await?;
    ensure!(person.outcome().await? == "approved");
    person.leave().await?;
    let answer = television.wait(&authorization).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// What the browser keeps for us is out of reach of scripts, other hosts and plain http.
async fn check_cookies(person: &Person) -> anyhow::Result<()> {
    let cookies = person.browser().get_all_cookies().await?;
    ensure!(!cookies.is_empty(), "there is no cookie at all");
    for cookie in cookies {
        let shown = format!("{} {:?} {:?} {:?}", cookie.name, cookie.secure, cookie.path, cookie.same_site);
        ensure!(cookie.name.starts_with("__Host-"), "{shown}");
        ensure!(cookie.secure == Some(true) && cookie.path.as_deref() == Some("/"), "{shown}");
        ensure!(matches!(cookie.same_site, Some(thirtyfour::SameSite::Lax)), "{shown}");
    }
    Ok(())
}
