//! Keys, codes, states and cookies that were never ours, and how they are compared.

use axum::http::{Method, StatusCode, header};
use device_grant_testkit::{Call, StoreFault};

use super::super::app::*;
use super::super::browser::{Browser, field, outcome, text};

/// Keys that would mean something to a store, to a template or to a shell.
fn hostile_values() -> Vec<String> {
    let long = "a".repeat(20_000);
    let mut values = vec![
        long.clone(),
        "🔑".repeat(600),
        "R#x".to_owned(),
        "U#x".to_owned(),
        "C#tv".to_owned(),
        "S#".to_owned(),
        ":pk = :pk OR attribute_exists(pk)".to_owned(),
        "' OR 1=1 --".to_owned(),
        "{{ 7*7 }}${jndi:ldap://x}".to_owned(),
        "../../etc/passwd".to_owned(),
        "\u{0}".to_owned(),
        " ".to_owned(),
        "\u{202e}\u{feff}".to_owned(),
        "NaN".to_owned(),
    ];
    values.push(format!("R#{long}"));
    values
}

/// HI-11: as a device code each is an unknown code, as a client an unknown client, as a token an unknown token.
#[tokio::test]
async fn hostile_keys_are_unknown_keys() {
    let app = TestApp::new().await;
    for value in hostile_values() {
        let shown: String = value.chars().take(30).collect();
        let code = Codes { device_code: value.clone(), user_code: String::new() };
        assert_eq!(app.poll(TV, &code).await.error(), "invalid_grant", "{shown}");
        assert_eq!(
            app.post("/device_authorization", &[("client_id", &value)]).await.error(),
            "invalid_client"
        );
        let refresh = [("client_id", TV), ("grant_type", "refresh_token"), ("refresh_token", &*value)];
        assert_eq!(app.post("/token", &refresh).await.error(), "invalid_grant", "{shown}");
        let revoke =
            [("client_id", TV), ("token", &*value), ("token_type_hint", value.get(..1).unwrap_or_default())];
        if value.is_ascii() {
            assert_eq!(app.post("/revoke", &revoke).await.status, StatusCode::OK, "{shown}");
        }
    }
}

/// HI-11: codes and states of any kind get a page, never a fault, and reach the pool never.
#[tokio::test]
async fn hostile_codes_and_states_get_a_page() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    let page = alice.sign_in().await;
    let csrf = field(&page, "#continue", "csrf");
    let before = app.dev_pool().requests().all().len();
    for (n, value) in hostile_values().into_iter().enumerate() {
        let shown: String = value.chars().take(30).collect();
        let linked = alice.get(&format!("/device?{}", encode(&[("user_code", &value)]))).await;
        assert_eq!(linked.status, StatusCode::SEE_OTHER, "{shown}");
        let filled = alice.get("/device").await;
        assert_eq!(text(&filled, "#heading").unwrap(), "Check the code", "{shown}");
        let kept: String = value.chars().filter(|c| !c.is_control()).take(128).collect();
        assert_eq!(field(&filled, "#continue", "user_code"), kept, "as it came, and nothing computed");
        let typed =
            alice.post("/device", &[("intent", "lookup"), ("csrf", &csrf), ("user_code", &value)]).await;
        // After the twentieth guess the answer would be another; there are fewer values.
        assert!(n < 20 && text(&typed, "#notice").is_some(), "{shown}: {}", typed.text);
        let back = alice.get(&format!("/callback?{}", encode(&[("state", &value), ("code", &value)]))).await;
        assert_eq!(back.status, StatusCode::FORBIDDEN, "{shown}");
        let confirm = [("csrf", &*csrf), ("intent", "authorize"), ("confirm", &*value)];
        assert_eq!(alice.post("/device", &confirm).await.status, StatusCode::FORBIDDEN, "{shown}");
        let intent = alice.post("/device", &[("csrf", &csrf), ("intent", &value)]).await;
        assert_eq!(intent.status, StatusCode::BAD_REQUEST, "{shown}");
    }
    assert_eq!(app.dev_pool().requests().all().len(), before, "the pool heard nothing of it");
}

/// HI-11: garbage, doubled and foreign cookies count as no cookie.
#[tokio::test]
async fn strange_cookies_are_no_cookies() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    let jar = alice.cookies.clone();
    let session = jar.iter().find(|(name, _)| name.contains("session")).unwrap().clone();
    let other = jar.iter().find(|(name, _)| name.contains("page")).unwrap().1.clone();
    let page_of = async |cookies: String| {
        let mut request = request(Method::GET, "/device");
        request.headers_mut().insert(header::COOKIE, cookies.parse().unwrap());
        app.send(request).await
    };
    let good = jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    assert!(text(&page_of(good.clone()).await, "#continue").is_some(), "the jar itself signs in");
    let (name, value) = session;
    let strange = [
        format!("{name}=garbage"),
        format!("{name}="),
        name.clone(),
        format!("{name}={}", "A".repeat(5000)),
        format!("{name}={other}"),
        format!("{name}={}", value.to_lowercase()),
        format!("{}={value}", name.to_lowercase()),
        format!("{}={value}", name.trim_start_matches("__Host-")),
        format!("{good}; {name}=garbage"),
        format!("{name}=garbage; {good}"),
        format!("{name}={value}; {name}={value}"),
        "=; ;;; =a; b; \"c\"=d".to_owned(),
    ];
    for cookies in strange {
        let answer = page_of(cookies.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{cookies}");
        assert!(text(&answer, "#continue").is_none(), "nobody is signed in: {cookies}");
        for path in ["/device/done", "/device/go"] {
            let mut request = request(Method::GET, path);
            request.headers_mut().insert(header::COOKIE, cookies.parse().unwrap());
            assert_eq!(app.send(request).await.status, StatusCode::SEE_OTHER, "{path} {cookies}");
        }
    }
    let mut bytes = request(Method::GET, "/device");
    bytes
        .headers_mut()
        .insert(header::COOKIE, axum::http::HeaderValue::from_bytes(b"\xff=\xfe; a=\xff").unwrap());
    assert_eq!(app.send(bytes).await.status, StatusCode::OK);
}

/// HI-11: a store that fails under any of it is no 500 and no stack trace.
#[tokio::test]
async fn a_failing_store_shows_nothing_of_itself() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    app.store.fail(Call::Load, StoreFault::Before, 1);
    app.store.fail(Call::Find, StoreFault::Before, 1);
    let answers = [app.poll(TV, &codes).await, Browser::alice(&app).enter(&codes.user_code).await];
    for answer in answers {
        assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!answer.text.contains("test made this call fail"), "{}", answer.text);
    }
}

/// HI-12: identifiers are compared byte for byte: other case, a space more or another normal form is another value.
#[tokio::test]
async fn identifiers_are_compared_byte_for_byte() {
    let app = TestApp::new().await;
    for id in ["TV", "Tv", " tv", "tv ", "tv\u{200b}", "ｔｖ", "tv\u{0}"] {
        let answer = app.post("/device_authorization", &[("client_id", id)]).await;
        assert_eq!(answer.error(), "invalid_client", "{id:?}");
    }
    for secret in ["S:+/=%ü", "s:+/=%u\u{308}", "s:+/=%ü ", "s:+/=%Ü", "s: /=%ü"] {
        let answer = app.send(with_basic(post("/device_authorization", &[]), SPEAKER, secret)).await;
        assert_eq!(answer.error(), "invalid_client", "{secret:?}");
    }
    for scope in ["OpenID", "openid Profile", "openid\u{a0}profile"] {
        let answer = app.post("/device_authorization", &[("client_id", TV), ("scope", scope)]).await;
        assert_eq!(answer.error(), "invalid_scope", "{scope:?}");
    }
    let codes = app.start(TV).await;
    let code = &codes.device_code;
    let swapped: String = code
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    for device_code in
        [swapped, format!("{code} "), format!(" {code}"), format!("{code}\u{200b}"), code[1..].to_owned()]
    {
        let changed = Codes { device_code, ..codes.clone() };
        assert_eq!(app.poll(TV, &changed).await.error(), "invalid_grant", "{changed:?}");
    }
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
}

/// HI-12: so are `state` and `iss` of a callback.
#[tokio::test]
async fn state_and_issuer_are_compared_byte_for_byte() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let back = alice.person.visit(&away).await.unwrap();
    let pairs: Vec<(String, String)> = back.query_pairs().into_owned().collect();
    let value = |name: &str| pairs.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let (code, state, issuer) = (value("code"), value("state"), app.pool.issuer().to_owned());
    let callback = |state: &str, iss: &str| {
        format!("/callback?{}", encode(&[("code", &code), ("state", state), ("iss", iss)]))
    };
    let swapped: String = state
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    for other in [swapped, format!("{state} "), format!(" {state}"), format!("{state}=")] {
        assert_eq!(alice.get(&callback(&other, &issuer)).await.status, StatusCode::FORBIDDEN, "{other}");
    }
    for other in [
        issuer.to_uppercase(),
        format!("{issuer}/"),
        format!("{issuer} "),
        issuer.replace("127.0.0.1", "localhost"),
    ] {
        assert_eq!(alice.get(&callback(&state, &other)).await.status, StatusCode::BAD_REQUEST, "{other}");
    }
    assert_eq!(app.store.count(Call::Transition), 0);
    assert_eq!(outcome(&alice.land(&callback(&state, &issuer)).await), "approved");
}
