//! Cookies of somebody else in a victim's browser.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{NEIGHBOUR, Person, SCOPE, Service, World};
use serde_json::Value;
use thirtyfour::Cookie;

const SESSION: &str = "__Host-dg-session";
const PAGE: &str = "__Host-dg-page";

type Pairs = Vec<(String, String)>;

/// Puts cookies into the browser, as whoever has had it in their hands can.
async fn plant(person: &Person, service: &Service, cookies: &[(String, String)]) -> anyhow::Result<()> {
    person.open(&format!("{}/", service.origin())).await?;
    for (name, value) in cookies {
        let mut cookie = Cookie::new(name, value);
        cookie.set_path("/");
        cookie.set_secure(true);
        cookie.set_http_only(true);
        person.browser().add_cookie(cookie).await?;
    }
    let present = person.cookies().await?;
    ensure!(cookies.iter().all(|planted| present.contains(planted)), "not planted: {present:?}");
    Ok(())
}

fn value<'a>(cookies: &'a [(String, String)], name: &str) -> anyhow::Result<&'a str> {
    let found = cookies.iter().find(|(own, _)| own == name);
    Ok(&found.with_context(|| format!("no {name}"))?.1)
}

/// The page that whoever has `cookies` sees.
async fn seen_with(world: &World, service: &Service, cookies: &Pairs) -> anyhow::Result<String> {
    let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = world.http_client()?.get(format!("{}/device", service.origin()));
    Ok(request.header("Cookie", jar.join("; ")).send().await?.text().await?)
}

/// Neither of the cookies that tie forms to a person was there before, and alice's page is hers.
async fn is_alices(person: &Person, planted: &Pairs) -> anyhow::Result<()> {
    person.find("input[name=user_code]").await?;
    let header = person.text("header").await?;
    ensure!(header.contains("Alice") && !header.contains("Bob"), "{header}");
    let now = person.cookies().await?;
    for name in [SESSION, PAGE] {
        let own = value(&now, name)?;
        ensure!(planted.iter().all(|(_, value)| value != own), "{name} was planted");
    }
    Ok(())
}

/// Who the device's ID token is about.
fn subject(tokens: &Value) -> anyhow::Result<String> {
    let token = tokens["id_token"].as_str().context("no ID token")?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).context("no claims")?)?;
    let claims: Value = serde_json::from_slice(&claims)?;
    Ok(claims["preferred_username"].as_str().context("no name")?.to_owned())
}

/// SEC-06: what an attacker has before a sign-in (a trip begun, a code kept) and the value that ties his forms to a browser
/// are in the victim's when she signs in: she gets her own, and the attacker's copy stays signed out.
#[tokio::test]
async fn cookies_planted_before_a_sign_in_are_no_session_after_it() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let (television, mut attacker) = (world.television(service, "tv")?, world.by_hand()?);
    let authorization = television.start(SCOPE).await?;
    attacker.get(&format!("{}/device?user_code=0000-0000", service.origin())).await?;
    attacker.get(&format!("{}/device", service.origin())).await?;
    let mut planted = attacker.cookies(service);
    ensure!(planted.len() == 2, "{planted:?}");
    attacker.sign_in(service, "bob").await?;
    planted.push((PAGE.to_owned(), value(&attacker.cookies(service), PAGE)?.to_owned()));

    let victim = world.person("planted-before").await?;
    plant(&victim, service, &planted).await?;
    victim.open(&authorization.verification_uri).await?;
    victim.sign_in("alice").await?;
    is_alices(&victim, &planted).await?;
    let seen = seen_with(world, service, &planted).await?;
    ensure!(seen.contains("go-on") && !seen.contains("Alice"), "the copy is signed in: {seen}");

    victim.enter_code(&authorization.user_code).await?;
    victim.click("#authorize").await?;
    ensure!(victim.outcome().await? == "approved");
    victim.leave().await?;
    let tokens = television.wait(&authorization).await?;
    ensure!(tokens.status == 200 && subject(&tokens.body)? == "alice", "{tokens:?}");
    Ok(())
}

/// SEC-06, CB-11: the attacker's own session is in the victim's browser. Approving in it brings nothing, because the pool says
/// who is really there; her sign-in makes another session, in which the attacker's forms do not count, and his copy stays his.
#[tokio::test]
async fn a_planted_session_never_becomes_the_victims() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let mut attacker = world.by_hand()?;
    attacker.sign_in(service, "bob").await?;
    let planted = attacker.cookies(service);
    ensure!(seen_with(world, service, &planted).await?.contains("Bob"));

    let victim = world.person("planted-session").await?;
    plant(&victim, service, &planted).await?;
    victim.open(&authorization.verification_uri).await?;
    victim.enter_code(&authorization.user_code).await?;
    ensure!(victim.text("header").await?.contains("Bob"), "the page says whose session this is");
    let his = victim.run("return document.querySelector('#authorize').form.innerHTML").await?;
    victim.click("#authorize").await?;
    victim.sign_in("alice").await?;
    ensure!(victim.outcome().await? == "account_differs");
    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");

    victim.click("#action").await?;
    victim.sign_in("alice").await?;
    is_alices(&victim, &planted).await?;
    victim.enter_code(&authorization.user_code).await?;
    ensure!(victim.text("dl").await?.contains("Alice"));
    refuses(&victim, &his).await?;
    approves(&victim, &authorization.verification_uri, &authorization.user_code).await?;

    victim.leave().await?;
    let seen = seen_with(world, service, &planted).await?;
    ensure!(seen.contains("Bob") && !seen.contains("Alice"), "the copy is hers: {seen}");
    let tokens = television.wait(&authorization).await?;
    ensure!(tokens.status == 200 && subject(&tokens.body)? == "alice", "{tokens:?}");
    Ok(())
}

/// The fields of somebody else's form, sent from the person's own page, are refused.
async fn refuses(person: &Person, fields: &Value) -> anyhow::Result<()> {
    let send = format!(
        "const form = document.querySelector('#authorize').form; form.innerHTML = {fields};
         setTimeout(() => form.submit());"
    );
    person.run(&send).await?;
    let refused = person.find("#error").await?.attr("data-status").await?;
    ensure!(refused.as_deref() == Some("403"), "{refused:?}");
    Ok(())
}

async fn approves(person: &Person, page: &str, user_code: &str) -> anyhow::Result<()> {
    person.open(page).await?;
    person.enter_code(user_code).await?;
    person.click("#authorize").await?;
    ensure!(person.outcome().await? == "approved");
    Ok(())
}

/// SEC-04, SEC-06: a page of a neighbour on our own domain can set cookies for the whole domain, but none that is called
/// `__Host-`, and no other is one of ours.
#[tokio::test]
async fn a_neighbours_cookies_are_none_of_ours() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let mut attacker = world.by_hand()?;
    attacker.sign_in(service, "bob").await?;
    let his = attacker.cookies(service);
    let (_, domain) = NEIGHBOUR.split_once('.').context("no domain")?;
    let mut lines = Vec::new();
    for name in [SESSION, PAGE] {
        for name in [name, name.trim_start_matches("__Host-")] {
            let full = value(&his, &format!("__Host-{}", name.trim_start_matches("__Host-")))?;
            lines.push(format!("{name}={full}; Domain={domain}; Path=/; Secure"));
        }
    }

    let victim = world.person("neighbour").await?;
    victim.open(&format!("{}/#{}", world.origin(NEIGHBOUR), lines.join("%0A"))).await?;
    victim.find("#done").await?;
    victim.open(&format!("{}/", service.origin())).await?;
    let names: Vec<String> = victim.cookies().await?.into_iter().map(|(name, _)| name).collect();
    ensure!(names.contains(&"dg-session".to_owned()), "the neighbour has set nothing: {names:?}");
    ensure!(!names.iter().any(|name| name.starts_with("__Host-")), "{names:?}");
    victim.open(&format!("{}/device", service.origin())).await?;
    victim.sign_in("alice").await?;
    is_alices(&victim, &his).await?;
    victim.leave().await
}
