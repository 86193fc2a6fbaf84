//! What another site, or a stranger with a link, can do to a person in a real browser.

use anyhow::{Context as _, ensure};
use e2e::{Attacker, Person, SCOPE, Service, World};
use serde_json::json;
use thirtyfour::Key;

/// A person who is signed in and asked to decide, and the device's next poll.
async fn asked(world: &World, service: &Service, story: &str) -> anyhow::Result<(Person, String)> {
    let authorization = world.television(service, "tv")?.start(SCOPE).await?;
    let person = world.person(story).await?;
    person.enter_code_as("alice", &authorization).await?;
    Ok((person, authorization.user_code))
}

/// SEC-02: in a frame on another site Chromium shows nothing of ours, on pages and error pages alike; what may be framed it
/// does show.
#[tokio::test]
async fn another_site_cannot_frame_our_pages() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let origin = world.login().await?.origin();
    let bait = Attacker::start("<main id=bait>mine</main>".to_owned())?;
    let frames =
        [bait.address(), format!("{origin}/"), format!("{origin}/device"), format!("{origin}/nowhere")];
    let frame = |address: &String| format!("<iframe src=\"{address}\"></iframe>");
    let page = frames.iter().map(frame).collect::<Vec<_>>().concat();
    let site = Attacker::start(page)?;
    let person = world.person("frames").await?;
    person.open(&site.address()).await?;
    for (number, address) in frames.iter().enumerate() {
        person.browser().enter_frame(u16::try_from(number)?).await?;
        let seen = person.run("return [document.querySelector('main') !== null, location.protocol]").await?;
        let expected = if number == 0 { json!([true, "http:"]) } else { json!([false, "chrome-error:"]) };
        ensure!(seen == expected, "the frame of {address} shows {seen}");
        person.browser().enter_default_frame().await?;
    }
    person.leave().await
}

/// SEC-05, UI-07, UI-08: a form that another site submits by itself decides nothing, even with the very tokens of the page
/// that the person has open.
#[tokio::test]
async fn another_site_cannot_press_our_buttons() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let television = world.television(service, "tv")?;
    let authorization = television.start(SCOPE).await?;
    let person = world.person("forged").await?;
    person.enter_code_as("alice", &authorization).await?;
    let mut forms = Vec::new();
    for button in ["authorize", "deny"] {
        let fields = format!("return document.querySelector('#{button}').form.innerHTML");
        forms.push(person.run(&fields).await?.as_str().context("no form")?.to_owned());
    }
    for fields in forms {
        let page = format!(
            "<form method=post action=\"{}/device\">{fields}</form><script>document.forms[0].submit()</script>",
            service.origin()
        );
        person.open(&Attacker::start(page)?.address()).await?;
        let refused = person.find("#error").await?.attr("data-status").await?;
        ensure!(refused.as_deref() == Some("403"), "{refused:?}");
        let answer = television.poll_later(&authorization).await?;
        ensure!(answer.error() == "authorization_pending", "{answer:?}");
    }
    person.open(&format!("{}/device", service.origin())).await?;
    ensure!(person.text("header").await?.contains("Alice"), "the person is still signed in");
    person.leave().await
}

/// SEC-02, SEC-03, CB-14: nothing on the page comes from elsewhere, and markup that got onto it could run nothing.
#[tokio::test]
async fn nothing_foreign_is_loaded_and_nothing_inline_runs() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.login().await?;
    let (person, _) = asked(world, service, "policy").await?;
    let loaded =
        person.run("return performance.getEntriesByType('resource').map(entry => entry.name)").await?;
    let loaded = loaded.as_array().context("no list")?;
    ensure!(!loaded.is_empty(), "not even the style sheet was loaded");
    for name in loaded {
        let name = name.as_str().unwrap_or_default();
        ensure!(name.starts_with(&format!("{}/device/assets/", service.origin())), "{name}");
    }
    let inject = "const done = arguments[0]; const seen = [];
        addEventListener('securitypolicyviolation', event => {
            seen.push(event.effectiveDirective);
            if (seen.length === 3) done([seen.sort(), window.pwned === undefined]);
        });
        const script = document.createElement('script');
        script.textContent = 'window.pwned = 1';
        document.body.append(script);
        const box = document.createElement('div');
        box.innerHTML = '<b onclick=\"window.pwned = 1\"></b><style>b { color: red }</style>';
        document.body.append(box);
        box.firstChild.click();";
    let seen = person.browser().execute_async(inject, Vec::new()).await?;
    let expected = json!([["script-src-attr", "script-src-elem", "style-src-elem"], true]);
    ensure!(*seen.json() == expected, "{}", seen.json());
    person.leave().await
}

/// SEC-14, UI-06: after a link the end of the code is on no page; Enter in its field presses nothing, and the right
/// characters from the device's screen let the person go on.
#[tokio::test]
async fn after_a_link_the_end_of_the_code_comes_from_the_device() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let service = world.pairwise().await?;
    let television = world.television(service, "tv-pairwise")?;
    let authorization = television.start(SCOPE).await?;
    let complete = authorization.body["verification_uri_complete"].as_str().context("no complete address")?;
    let (hidden, code) = (2, &authorization.user_code);
    let end = &code[code.len() - hidden..];
    let person = world.person("typed").await?;
    person.open(complete).await?;
    person.sign_in("alice").await?;
    person.find("#another").await?;
    ensure!(!person.browser().source().await?.contains(code.as_str()), "the code page shows the whole code");
    person.picture("masked").await?;
    person.click("#continue").await?;
    let field = person.find("#typed").await?;
    ensure!(
        !person.browser().source().await?.contains(code.as_str()),
        "the confirmation shows the whole code"
    );

    field.send_keys(end).await?;
    person.browser().execute("window.same = true", Vec::new()).await?;
    field.send_keys(Key::Enter).await?;
    person.browser().action_chain().perform().await?;
    ensure!(person.run("return window.same === true").await? == json!(true), "Enter sent the form");
    let answer = television.poll_later(&authorization).await?;
    ensure!(answer.error() == "authorization_pending", "{answer:?}");

    field.clear().await?;
    field.send_keys("AA").await?;
    person.click("#authorize").await?;
    person.find("#notice").await?;
    person.picture("wrong").await?;
    person.find("#typed").await?.send_keys(&end.to_ascii_lowercase()).await?;
    person.click("#authorize").await?;
    ensure!(person.outcome().await? == "approved");
    person.leave().await?;
    ensure!(television.wait(&authorization).await?.status == 200);
    Ok(())
}
