//! Addresses of ours that name an address of somebody else's.

use anyhow::{Context as _, ensure};
use e2e::{Attacker, Authorization, HOP, LOGIN, POOL, Person, SCOPE, Service, World};
use url::Url;

/// What other services call the place where they send a browser next.
const NAMES: [&str; 10] = [
    "next",
    "to",
    "url",
    "rd",
    "continue",
    "return_to",
    "redirect_uri",
    "post_logout_redirect_uri",
    "target_link_uri",
    "RelayState",
];

/// The ways to write somebody else's address, ready for a query.
fn addresses(evil: &Attacker) -> [String; 5] {
    let host = format!("evil.test:{}", evil.port());
    [
        format!("//{host}/a"),
        format!("http:{host}/b"),
        format!("/%5C{host}/c"),
        format!("http://{host}/d"),
        format!("%2f%2f{host}%2fe"),
    ]
}

/// A query in which every name means `address`.
fn query(address: &str) -> String {
    NAMES.map(|name| format!("{name}={address}")).join("&")
}

/// After a step the browser is with us or at the pool.
async fn is_at_home(world: &World, person: &Person, step: &str) -> anyhow::Result<()> {
    let origin = person.address().await?.origin().ascii_serialization();
    let home = [world.origin(LOGIN), world.origin(POOL)];
    ensure!(home.contains(&origin), "{step} leads to {origin}");
    Ok(())
}

/// Everything that the browser has asked for since the last time is ours or the pool's, and so is every address that the pool
/// was told to send it back to. Returns the addresses.
async fn asked_nobody_else(world: &World, person: &Person) -> anyhow::Result<Vec<String>> {
    let asked = person.asked_for().await?;
    let home = [world.origin(LOGIN), world.origin(POOL), world.origin(HOP)];
    for address in &asked {
        let url = Url::parse(address).with_context(|| address.clone())?;
        let origin = url.origin().ascii_serialization();
        ensure!(url.scheme() == "data" || home.contains(&origin), "the browser asked for {address}");
        if origin != home[0] {
            for (name, value) in url.query_pairs().filter(|(name, _)| name.ends_with("redirect_uri")) {
                ensure!(value.starts_with(&format!("{}/", home[0])), "{name} is {value} in {address}");
            }
        }
    }
    Ok(asked)
}

/// Opens `path` with each of the addresses in its query.
async fn open_all(
    world: &World,
    person: &Person,
    (service, evil): (&Service, &Attacker),
    paths: &[&str],
) -> anyhow::Result<()> {
    for path in paths {
        for address in addresses(evil) {
            let link = format!("{}{path}?{}", service.origin(), query(&address));
            person.open(&link).await?;
            is_at_home(world, person, &link).await?;
        }
    }
    Ok(())
}

/// Presses a button whose form then also has every name, each meaning somebody else's address.
async fn press_with_more(person: &Person, selector: &str, evil: &Attacker) -> anyhow::Result<()> {
    let address = format!("//evil.test:{}/form", evil.port());
    let names = serde_json::to_string(&NAMES)?;
    person.find(selector).await?;
    let add = format!(
        "const form = document.querySelector('{selector}').form;
         for (const name of {names}) {{
             const field = document.createElement('input');
             [field.type, field.name, field.value] = ['hidden', name, '{address}'];
             form.append(field);
         }}
         return form.elements['RelayState'].value;"
    );
    ensure!(person.run(&add).await? == address.as_str());
    person.click(selector).await
}

/// SEC-09: links of somebody else to our pages and forms with more fields than ours lead nowhere but to us and the pool, from
/// before the sign-in until after the sign-out.
#[tokio::test]
async fn nobody_elses_address_is_ever_gone_to() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let codes = [television.start(SCOPE).await?, television.start(SCOPE).await?];
    let evil = Attacker::start("<main>evil</main>".to_owned())?;
    let person = world.person("redirects").await?;

    open_all(world, &person, (service, &evil), &["/device"]).await?;
    let code = format!("{}/device?user_code={}", service.origin(), addresses(&evil)[0]);
    person.open(&code).await?;
    person.sign_in("alice").await?;
    person.find("input[name=user_code]").await?;
    is_at_home(world, &person, &code).await?;
    paths(world, &person, (service, &evil)).await?;
    forms(&person, &codes, &evil).await?;
    is_at_home(world, &person, "the approval").await?;
    let asked = asked_nobody_else(world, &person).await?;
    let start = format!("{}/callback?", service.origin());
    let callback = asked.iter().rfind(|address| address.starts_with(&start) && address.contains("code="));
    ways_out(world, &person, (service, &evil), callback.context("no callback in the browser's log")?).await?;
    asked_nobody_else(world, &person).await?;

    ensure!(evil.visits() == 0, "somebody else's site was asked {} times", evil.visits());
    // It would have been seen.
    person.open(&format!("http://evil.test:{}/", evil.port())).await?;
    ensure!(evil.visits() > 0 && asked_nobody_else(world, &person).await.is_err());
    person.leave().await
}

/// Somebody else's address in a query of every page, and in the path itself.
async fn paths(world: &World, person: &Person, ours: (&Service, &Attacker)) -> anyhow::Result<()> {
    open_all(world, person, ours, &["/", "/device", "/device/go", "/device/done", "/callback"]).await?;
    let (service, evil) = ours;
    let host = format!("evil.test:{}", evil.port());
    for path in ["//", "/%2f%2f", "/%5C", "/device/%2f%2f", "/device//", "/device/go//", "/callback//"] {
        let link = format!("{}{path}{host}/device", service.origin());
        person.open(&link).await?;
        person.find("#error").await?;
        is_at_home(world, person, &link).await?;
    }
    Ok(())
}

/// Somebody else's address in every form: the code, Deny, Authorize.
async fn forms(person: &Person, codes: &[Authorization; 2], evil: &Attacker) -> anyhow::Result<()> {
    let [first, second] = codes;
    person.open(&first.verification_uri).await?;
    let field = person.find("input[name=user_code]").await?;
    field.clear().await?;
    field.send_keys(&first.user_code).await?;
    press_with_more(person, "#continue", evil).await?;
    press_with_more(person, "#deny", evil).await?;
    ensure!(person.outcome().await? == "denied");
    person.open(&second.verification_uri).await?;
    person.enter_code(&second.user_code).await?;
    press_with_more(person, "#authorize", evil).await?;
    ensure!(person.outcome().await? == "approved");
    Ok(())
}

/// The callback of the grant once more, and the way out, with somebody else's addresses beside ours.
async fn ways_out(
    world: &World,
    person: &Person,
    (service, evil): (&Service, &Attacker),
    callback: &str,
) -> anyhow::Result<()> {
    for address in addresses(evil) {
        person.open(&format!("{callback}&{}", query(&address))).await?;
        ensure!(person.outcome().await? == "approved");
        is_at_home(world, person, "the callback").await?;
    }
    person.open(&format!("{}/device", service.origin())).await?;
    press_with_more(person, "#sign-out", evil).await?;
    person.click_and_leave("#kc-logout").await?;
    person.find("#username").await?;
    is_at_home(world, person, "the sign-out").await
}
