//! Control characters in values: into no header, no redirect, no cookie, no log line.

use device_grant_protocol::GRANT_TYPE_DEVICE_CODE;

use super::super::app::*;
use super::super::browser::{Browser, field, text};
use super::super::logged;
use super::BACK_CHANNEL;

/// Words that may turn up nowhere but in the text of a page.
const INJECTED: &str = "x%0D%0ASet-Cookie%3A%20evil%3D1%0D%0A%0D%0A%00%1B%5B31m%7Fevil";

#[track_caller]
fn assert_nothing_injected(answer: &Answer) {
    assert!(!answer.status.is_server_error(), "{answer:?}");
    for (name, value) in &answer.headers {
        assert!(!value.as_bytes().windows(4).any(|window| window == b"evil"), "{name}: {value:?}");
    }
    let stray = |c: char| c.is_control() && c != '\n';
    assert!(!answer.text.contains(stray), "{}", answer.text);
}

/// HI-06: control characters in any value split no header, reach no redirect, no cookie and no JSON.
#[tokio::test]
async fn control_characters_go_nowhere() {
    logged::begin();
    let app = TestApp::new().await;
    for name in
        ["client_id", "scope", "device_code", "grant_type", "refresh_token", "token", "unknown", INJECTED]
    {
        for path in BACK_CHANNEL {
            let rest = if name == "client_id" { "" } else { "client_id=tv&" };
            for request in [
                raw_post(path, format!("{rest}{name}={INJECTED}")),
                raw_post(&format!("{path}?{name}={INJECTED}"), rest),
                raw_post(path, format!("{rest}{name}={INJECTED}&{name}=2")),
                raw_post(path, format!("{rest}grant_type={GRANT_TYPE_DEVICE_CODE}&device_code={INJECTED}")),
                raw_post(
                    path,
                    format!("{rest}grant_type=refresh_token&refresh_token={INJECTED}&token={INJECTED}"),
                ),
            ] {
                assert_nothing_injected(&app.send(request).await);
            }
        }
    }
    assert_the_log_is_clean("/token");
}

/// HI-06: the same in the browser: user code, state, and the pool's error with its description.
#[tokio::test]
async fn control_characters_go_nowhere_in_the_browser() {
    logged::begin();
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    assert_nothing_injected(&alice.get(&format!("/device?user_code={INJECTED}")).await);
    let page = alice.sign_in().await;
    assert_nothing_injected(&page);
    let csrf = field(&page, "#continue", "csrf");
    let form = format!("intent=lookup&csrf={csrf}&user_code={INJECTED}");
    let page = alice.send(raw_post("/device", form)).await;
    assert_nothing_injected(&page);
    assert!(text(&page, "#notice").is_some(), "{}", page.text);
    assert_nothing_injected(&alice.get(&format!("/callback?state={INJECTED}&code=x")).await);
    let away = alice.authorize(&codes).await;
    let (_, state) = away.query_pairs().find(|(name, _)| name == "state").unwrap();
    let refusals = [
        format!("error=server_error&error_description={INJECTED}&error_uri={INJECTED}"),
        format!("error={INJECTED}&error_description={INJECTED}"),
        format!("error=x&iss={INJECTED}"),
    ];
    for refusal in refusals {
        let answer = alice.get(&format!("/callback?state={state}&{refusal}")).await;
        assert_nothing_injected(&answer);
        assert!(!alice.get("/device/done").await.text.contains("evil"));
    }
    assert_the_log_is_clean("/callback");
}

fn assert_the_log_is_clean(route: &str) {
    let logged = logged::all();
    assert!(logged.iter().any(|value| value == route), "the log holds the requests: {logged:?}");
    for value in logged {
        assert!(!value.contains("evil") && !value.contains(char::is_control), "{value:?}");
    }
}
