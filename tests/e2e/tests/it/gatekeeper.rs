//! `web.sign_in = "alb"`: a load balancer signs people in.

use std::net::Ipv4Addr;

use anyhow::ensure;
use device_grant_testkit::TestBalancer;
use e2e::{Person, SCOPE, World, client_at};
use reqwest::header::HeaderMap;
use thirtyfour::Key;

const COOKIE: &str = "AWSELBAuthSessionCookie-0";

/// Signs in at the balancer's own page, which it shows instead of `page`.
async fn sign_in(person: &Person, page: &str, name: &str) -> anyhow::Result<()> {
    person.open(page).await?;
    sign_in_here(person, name).await
}

async fn sign_in_here(person: &Person, name: &str) -> anyhow::Result<()> {
    person.find("#balancer-name").await?.send_keys(name).await?;
    person.click("#balancer-sign-in").await?;
    person.find("input[name=user_code]").await?;
    let header = person.text("header").await?;
    ensure!(header.contains(&format!("{name} of the balancer")), "{header}");
    Ok(())
}

/// UI-01, UI-04, CB-11: whom the balancer names approves, and the pool's trip has to bring back the same person; with another
/// the device gets nothing, and the balancer's session ends too.
#[tokio::test]
async fn the_balancers_person_and_the_pools_must_be_one() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let (service, _) = world.balanced().await?;
    let television = world.television(service, "tv")?;
    let (hers, his) = (television.start(SCOPE).await?, television.start(SCOPE).await?);
    let person = world.person("balancer").await?;
    sign_in(&person, &hers.verification_uri, "alice").await?;
    person.enter_code(&hers.user_code).await?;
    ensure!(person.text("dl").await?.contains("alice of the balancer"));
    person.click("#authorize").await?;
    person.sign_in("alice").await?;
    ensure!(person.outcome().await? == "approved");
    let answer = television.wait(&hers).await?;
    ensure!(answer.status == 200 && answer.body["refresh_token"].is_string(), "{answer:?}");

    person.open(&hers.verification_uri).await?;
    person.browser().delete_cookie(COOKIE).await?;
    sign_in(&person, &his.verification_uri, "bob").await?;
    person.enter_code(&his.user_code).await?;
    person.click("#authorize").await?;
    person.sign_in("alice").await?;
    ensure!(person.outcome().await? == "account_differs");
    let answer = television.poll_later(&his).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");
    person.click("#action").await?;
    person.find("#balancer-name").await?;
    person.leave().await
}

/// The balancer's session ends between a page and its form: a page that says so, and nothing is lost: what was typed is
/// there after the next sign-in, and Authorize has to be pressed again.
#[tokio::test]
async fn a_form_after_the_balancers_session_has_ended_gets_a_friendly_page() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let (service, _) = world.balanced().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let person = world.person("balancer-ended").await?;
    sign_in(&person, &authorization.verification_uri, "alice").await?;
    person.find("input[name=user_code]").await?.send_keys(&authorization.user_code).await?;
    person.browser().delete_cookie(COOKIE).await?;
    person.click("#continue").await?;
    is_friendly(&person).await?;

    person.click("#action").await?;
    sign_in_here(&person, "alice").await?;
    let kept = person.find("input[name=user_code]").await?.value().await?;
    ensure!(kept.as_deref() == Some(&*authorization.user_code), "kept: {kept:?}");
    person.click("#continue").await?;
    person.find("#authorize").await?;
    person.browser().delete_cookie(COOKIE).await?;
    person.click("#authorize").await?;
    is_friendly(&person).await?;
    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");

    person.click("#action").await?;
    sign_in_here(&person, "alice").await?;
    person.find("input[name=user_code]").await?.send_keys(Key::Enter).await?;
    person.click("#authorize").await?;
    person.sign_in("alice").await?;
    ensure!(person.outcome().await? == "approved");
    person.leave().await?;
    ensure!(television.wait(&authorization).await?.status == 200);
    Ok(())
}

async fn is_friendly(person: &Person) -> anyhow::Result<()> {
    let told = person.find("#error").await?;
    ensure!(told.attr("data-status").await?.as_deref() == Some("403"));
    person.picture("ended").await?;
    let text = told.text().await?;
    ensure!(text.contains("Your sign-in has ended") && text.contains("Nothing was lost"), "{text}");
    Ok(())
}

/// SEC-11: the headers of the balancer count only as the balancer has signed them and only from where it is. Whoever sends
/// them through it has no use of them; nor has whoever sends good ones to a replica past it.
#[tokio::test]
async fn nobody_signs_in_with_headers_of_the_balancer() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let (service, gatekeeper) = world.balanced().await?;
    let good = gatekeeper.headers("alice");
    let forged = gatekeeper.headers_signed_by(&TestBalancer::spawn().await?, "alice");
    let (proxy, stranger) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST);

    // Where the balancer is, good ones do count, or the rest would show nothing.
    let (status, page) = page_with(&client_at(proxy)?, &service.replica(), &good).await?;
    ensure!(status == 200 && page.contains("alice of the balancer"), "{status} {page}");
    let through = world.http_client()?;
    for headers in [&good, &forged] {
        let (status, page) = page_with(&through, service.origin(), headers).await?;
        ensure!(page.contains("balancer-sign-in") && !page.contains("of the balancer"), "{status} {page}");
    }
    let mut twice = good.clone();
    for (name, value) in &good {
        twice.append(name, value.clone());
    }
    let cases = [(proxy, &forged), (proxy, &twice), (proxy, &HeaderMap::new()), (stranger, &good)];
    for (from, headers) in cases {
        let (status, page) = page_with(&client_at(from)?, &service.replica(), headers).await?;
        let refused = if from == stranger { 308 } else { 403 };
        ensure!(status == refused && !page.contains("of the balancer"), "{from}: {status} {page}");
    }
    Ok(())
}

/// Status and text of the code page, asked for with these headers as if it had come over TLS.
async fn page_with(
    http: &reqwest::Client,
    origin: &str,
    headers: &HeaderMap,
) -> anyhow::Result<(u16, String)> {
    let request = http.get(format!("{origin}/device")).headers(headers.clone());
    let answer = request.header("X-Forwarded-Proto", "https").send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}
