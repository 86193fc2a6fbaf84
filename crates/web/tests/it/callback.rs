use axum::http::{Method, StatusCode, header};
use device_grant_dev_pool::{CannedResponse, DevClient, Endpoint, Fault, Overrides};
use device_grant_testkit::{Call, StoreFault};
use serde_json::json;
use url::Url;

use super::app::*;
use super::browser::{Browser, local, outcome, state_of, text};

/// CB-01: a missing, unknown or old state leads to a page and to no call.
#[tokio::test]
async fn a_strange_state_goes_nowhere() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let back = alice.person.visit(&away).await.unwrap();
    app.dev_pool().requests().clear();
    for path in ["/callback", "/callback?code=x", "/callback?code=x&state=", "/callback?code=x&state=unknown"]
    {
        assert_eq!(alice.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    app.advance(20 * 60);
    assert_eq!(alice.get(&local(&back)).await.status, StatusCode::FORBIDDEN, "an old state");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), 0);
}

/// CB-01: states are long and new for each attempt.
#[tokio::test]
async fn states_are_unguessable() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let states = [alice.authorize(&codes).await, alice.authorize(&codes).await].map(|url| state_of(&url));
    assert_ne!(states[0], states[1]);
    assert!(states.iter().all(|state| state.len() == 43), "256 bits in base64url");
}

/// CB-01: the state of a sign-in works once.
#[tokio::test]
async fn a_sign_in_is_finished_once() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    let away = super::browser::away(&alice.get("/device").await).unwrap();
    let back = local(&alice.person.visit(&away).await.unwrap());
    assert_eq!(alice.get(&back).await.header(header::LOCATION), "/device");
    app.dev_pool().requests().clear();
    assert_eq!(alice.get(&back).await.header(header::LOCATION), "/device");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), 0);
}

/// CB-02: in another browser the callback is refused and nothing happens; two tabs of one browser both finish.
#[tokio::test]
async fn a_callback_belongs_to_its_browser() {
    let app = TestApp::new().await;
    let (first, second) = (app.start(TV).await, app.start(OTHER).await);
    let (mut attacker, mut victim) = (Browser::of(&app, "bob"), Browser::alice(&app));
    victim.sign_in().await;
    let away = attacker.authorize(&first).await;
    let back = local(&victim.person.visit(&away).await.unwrap());
    assert_eq!(victim.get(&back).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.poll(TV, &first).await.error(), "authorization_pending");

    let (tab, other_tab) = (victim.authorize(&first).await, victim.authorize(&second).await);
    for away in [tab, other_tab] {
        let back = victim.person.visit(&away).await.unwrap();
        assert_eq!(outcome(&victim.land(&local(&back)).await), "approved");
    }
}

/// CB-03: reload and back, and two callbacks at once on two replicas: one exchange, one story.
#[tokio::test]
async fn a_repeated_callback_exchanges_once() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let back = alice.way_back(&codes).await;
    let mut twin = Browser::alice(&app);
    (twin.cookies, twin.replica) = (alice.cookies.clone(), 1);
    app.dev_pool().requests().clear();
    let (one, two) = tokio::join!(alice.land(&back), twin.land(&back));
    let told = [outcome(&one), outcome(&two)];
    assert!(told.contains(&"approved".to_owned()), "{told:?}");
    assert!(told.iter().all(|told| ["approved", "pending"].contains(&told.as_str())), "{told:?}");
    for _ in 0..2 {
        assert_eq!(outcome(&alice.land(&back).await), "approved");
    }
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), 1);
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
    assert_eq!(outcome(&alice.land(&back).await), "approved");
}

/// CB-04: `iss` must be the pool's, and must be there if the pool says so; also with errors.
#[tokio::test]
async fn the_issuer_of_a_callback_is_checked() {
    let app = TestApp::with(Options {
        pool: Box::new(|pool| pool.issuer_on_callback = true),
        ..Options::default()
    })
    .await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    for replacement in [json!("https://evil.example"), json!(null)] {
        let away = alice.authorize(&codes).await;
        app.dev_pool()
            .faults()
            .set(|faults| faults.callback = Overrides::from([("iss", replacement.clone())]));
        let back = alice.person.visit(&away).await.unwrap();
        assert_eq!(alice.get(&local(&back)).await.status, StatusCode::BAD_REQUEST, "{replacement}");
        let error =
            format!("/callback?error=access_denied&state={}&iss=https://evil.example", state_of(&away));
        assert_eq!(alice.get(&error).await.status, StatusCode::BAD_REQUEST);
    }
    app.dev_pool().faults().clear();
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
}

/// CB-05: a state made for a sign-in cannot finish a grant, nor the other way round.
#[tokio::test]
async fn a_trip_finishes_its_own_purpose_only() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let sign_in = super::browser::away(&alice.get("/device").await).unwrap();
    let sign_in_back = alice.person.visit(&sign_in).await.unwrap();
    let mut tab = Browser::alice(&app);
    tab.person = alice.person.clone();
    let away = tab.authorize(&codes).await;
    alice.cookies.extend(tab.cookies.clone());
    let grant_back = alice.person.visit(&away).await.unwrap();
    let swap = |back: &Url, state: &str| {
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        format!("/callback?{}", encode(&[("code", &code), ("state", state)]))
    };
    let grant_with_sign_in_code = swap(&sign_in_back, &state_of(&away));
    assert_ne!(outcome(&alice.land(&grant_with_sign_in_code).await), "approved");
    assert_ne!(app.poll(TV, &codes).await.status, StatusCode::OK);
    let sign_in_with_grant_code = swap(&grant_back, &state_of(&sign_in));
    assert_eq!(alice.get(&sign_in_with_grant_code).await.status, StatusCode::FORBIDDEN);
}

/// CB-06: the person's no at the pool is a no.
#[tokio::test]
async fn a_refusal_at_the_pool_denies() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    alice.person.forget_cookies();
    let back = alice.person.cancel(&away).await.unwrap();
    assert_eq!(outcome(&alice.land(&local(&back)).await), "denied");
    assert_eq!(app.poll(TV, &codes).await.error(), "access_denied");
}

/// CB-07, UP-08: errors that are not the person's leave the request open, hide the pool's words, and a second try works.
#[tokio::test]
async fn other_errors_of_the_pool_cost_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    for error in ["temporarily_unavailable", "server_error", "invalid_request", "login_required"] {
        let away = alice.authorize(&codes).await;
        let back =
            encode(&[("error", error), ("error_description", "MARKER <b>"), ("state", &state_of(&away))]);
        let page = alice.land(&format!("/callback?{back}")).await;
        assert_eq!(outcome(&page), "retry", "{error}");
        assert!(!page.text.contains("MARKER"));
        app.advance(5);
        assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    }
    let page = alice.get("/device").await;
    assert_eq!(super::browser::field(&page, "#continue", "user_code"), codes.user_code, "the code is kept");
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
}

/// CB-07: a pool that refuses the code leaves the request open.
#[tokio::test]
async fn a_refused_code_can_be_tried_again() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    let refusal = CannedResponse::json(
        StatusCode::BAD_REQUEST,
        &json!({"error": "invalid_grant", "error_description": "MARKER"}),
    );
    app.dev_pool().faults().once(Endpoint::Token, Fault::Respond(refusal));
    let page = alice.approve(&codes).await;
    assert_eq!(outcome(&page), "retry");
    assert!(!page.text.contains("MARKER"));
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
    app.advance(5);
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// CB-08: the code is exchanged at the callback: nobody has to poll for it.
#[tokio::test]
async fn the_code_is_exchanged_at_the_callback() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    app.dev_pool().requests().clear();
    alice.approve(&codes).await;
    let exchanges = app.dev_pool().requests().to(Endpoint::Token);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].form_value("grant_type"), Some("authorization_code"));
}

/// CB-09, CB-10: the verifier is fresh and well formed, the challenge S256, and the exchange sends everything once.
#[tokio::test]
async fn pkce_and_the_exchange_are_as_they_should_be() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    app.dev_pool().requests().clear();
    for _ in 0..10 {
        let codes = app.start_confidential(CONSOLE).await;
        assert_eq!(outcome(&alice.approve(&codes).await), "approved");
    }
    let (trips, exchanges) =
        (app.dev_pool().requests().to(Endpoint::Authorize), app.dev_pool().requests().to(Endpoint::Token));
    let mut verifiers = std::collections::BTreeSet::new();
    for exchange in &exchanges {
        let verifier = exchange.form_value("code_verifier").unwrap();
        assert!((43..=128).contains(&verifier.len()));
        assert!(verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
        assert!(verifiers.insert(verifier.to_owned()));
        assert_eq!(exchange.form_value("redirect_uri").unwrap(), format!("{PUBLIC_URL}/callback"));
        for name in ["code", "code_verifier", "redirect_uri", "grant_type"] {
            assert_eq!(exchange.form.iter().filter(|(own, _)| own == name).count(), 1, "{name}");
        }
        // The secret of this client has every character that a lax encoder breaks on; the pool's decoder is strict.
        assert!(exchange.header("authorization").unwrap().starts_with("Basic "));
    }
    assert_eq!(exchanges.len(), 10);
    assert!(trips.iter().all(|trip| trip.query_value("code_challenge_method") == Some("S256")));
    let sent =
        |verifier: &String| trips.iter().any(|trip| trip.query.iter().any(|(_, value)| value == verifier));
    assert!(!verifiers.iter().any(sent));
}

/// CB-11: whoever approves must be who signs in; otherwise nothing is stored, the tokens are revoked, and the page says so.
#[tokio::test]
async fn another_account_coming_back_gets_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let bob = device_grant_dev_pool::Person::new(app.dev_pool(), "bob", "bob").visit(&away).await.unwrap();
    assert_eq!(outcome(&alice.land(&local(&bob)).await), "account_differs");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Revoke), 1);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    // The next try begins with a fresh sign-in, or it would silently end the same way.
    let again = super::browser::away(&alice.get("/device").await).unwrap();
    assert!(again.query_pairs().any(|pair| pair == ("prompt".into(), "login".into())), "{again}");
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
}

/// UI-10: the person who went on the trip and presses again while the exchange is under way hears of their own trip.
#[tokio::test]
async fn pressing_again_meanwhile_is_not_somebody_else() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.enter(&codes.user_code).await;
    let away = alice.press(&page, "#authorize").await;
    let back = local(&alice.person.visit(&away).await.unwrap());
    app.dev_pool().faults().once(Endpoint::Token, Fault::Drop);
    assert_eq!(outcome(&alice.land(&back).await), "pending");
    assert_eq!(outcome(&alice.decide(&page, "#authorize").await), "pending");
    alice.decide(&page, "#deny").await;
    assert_eq!(outcome(&alice.get("/device/done").await), "pending");
    let mut bob = Browser::of(&app, "bob");
    let notice = text(&bob.enter(&codes.user_code).await, "#notice");
    assert!(notice.is_some(), "nobody else gets at it");
}

/// CB-11: with another pool client the account is compared too: equal where subjects are public, different where they are
/// pairwise, and equal again by `account_claim`.
#[tokio::test]
async fn accounts_are_compared_across_pool_clients() {
    let app = TestApp::new().await;
    let codes = app.start_confidential(CONSOLE).await;
    assert_eq!(outcome(&Browser::alice(&app).approve(&codes).await), "approved");
    let pairwise = TestApp::with(Options {
        pool: Box::new(|pool| {
            pool.clients
                .iter_mut()
                .filter(|client| client.client_id == CONSOLE)
                .for_each(|client: &mut DevClient| client.pairwise = true);
        }),
        ..Options::default()
    })
    .await;
    let codes = pairwise.start_confidential(CONSOLE).await;
    assert_eq!(outcome(&Browser::alice(&pairwise).approve(&codes).await), "account_differs");
}

/// CB-12: expired meanwhile: the code is not exchanged, and the page says so.
#[tokio::test]
async fn a_request_that_lapsed_meanwhile_is_not_exchanged() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    app.advance(1750);
    let away = alice.authorize(&codes).await;
    let back = alice.person.visit(&away).await.unwrap();
    app.dev_pool().requests().clear();
    app.advance(60);
    assert_eq!(outcome(&alice.land(&local(&back)).await), "expired");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), 0);
}

/// CB-12: denied by somebody else while the first was at the pool: no exchange, and the first is told.
#[tokio::test]
async fn a_request_denied_meanwhile_is_not_exchanged() {
    let app = TestApp::new().await;
    let codes = app.start(OTHER).await;
    let (mut alice, mut bob) = (Browser::alice(&app), Browser::of(&app, "bob"));
    let away = alice.authorize(&codes).await;
    bob.deny(&codes).await;
    let back = alice.person.visit(&away).await.unwrap();
    app.dev_pool().requests().clear();
    assert_eq!(outcome(&alice.land(&local(&back)).await), "denied");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Token), 0);
}

/// CB-13: HEAD does nothing, repeats and contradictions are refused, and the real callback still works.
#[tokio::test]
async fn only_one_clear_get_runs_the_callback() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let back = alice.way_back(&codes).await;
    assert_eq!(alice.send(request(Method::HEAD, &back)).await.status, StatusCode::OK);
    for extra in ["&code=b", "&state=b", "&iss=a&iss=a", "&error=access_denied"] {
        let page = alice.get(&format!("{back}{extra}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{extra}");
    }
    assert_eq!(alice.send(request(Method::POST, &back)).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(outcome(&alice.land(&back).await), "approved");
}

/// CB-14: the end is a clean URL, `no-store`, with no code, token or state on the page.
#[tokio::test]
async fn the_last_page_is_clean() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let away = alice.authorize(&codes).await;
    let back = alice.person.visit(&away).await.unwrap();
    let answer = alice.get(&local(&back)).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/device/done"));
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let page = alice.get("/device/done").await;
    assert!(text(&page, "main").unwrap().contains("You can go back to your device."));
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
    for secret in [codes.device_code.as_str(), &codes.user_code, &state_of(&away)] {
        assert!(!page.text.contains(secret));
    }
}

/// CB-15: the store fails at the last step: no success is shown, the tokens are not lost, and the device gets them.
#[tokio::test]
async fn success_is_shown_only_when_the_tokens_are_stored() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let back = alice.way_back(&codes).await;
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let breaking = async {
        hold.arrived().await;
        app.store.fail(Call::Transition, StoreFault::Before, 3);
        hold.release();
    };
    let (page, ()) = tokio::join!(alice.land(&back), breaking);
    assert_eq!(outcome(&page), "pending");
    app.settle(0).await;
    assert_eq!(outcome(&alice.get("/device/done").await), "approved");
    assert_eq!(app.poll(TV, &codes).await.status, StatusCode::OK);
}

/// CB-15, IT-08: an ID token that does not validate: nothing is handed over, the refresh token is revoked, the person can
/// try again.
#[tokio::test]
async fn a_bad_id_token_hands_over_nothing() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    app.dev_pool()
        .faults()
        .set(|faults| faults.id_token_claims = Overrides::from([("nonce", json!("another"))]));
    assert_eq!(outcome(&alice.approve(&codes).await), "retry");
    assert_eq!(app.dev_pool().requests().count(Endpoint::Revoke), 1);
    assert_eq!(app.poll(TV, &codes).await.error(), "authorization_pending");
    app.dev_pool().faults().clear();
    assert_eq!(outcome(&alice.approve(&codes).await), "approved");
}

/// RT-02: with a pool client of its own a device gets the pool's refresh token; through the shared one, a sealed one.
#[tokio::test]
async fn refresh_tokens_are_sealed_where_the_pool_client_is_shared() {
    let app = TestApp::new().await;
    let (own, shared) = (app.start_confidential(CONSOLE).await, app.start(TV).await);
    let mut alice = Browser::alice(&app);
    alice.approve(&own).await;
    alice.approve(&shared).await;
    let token = |answer: Answer| answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let verbatim = token(app.poll_confidential(CONSOLE, &own).await);
    let sealed = token(app.poll(TV, &shared).await);
    assert!(app.dev_pool().is_live(&verbatim));
    assert!(!app.dev_pool().is_live(&sealed) && sealed.starts_with("dgr1."));
}

/// ST-13: token sets of some tens of kB fit; one that no store could hold is returned to the pool, and the request stays
/// open.
#[tokio::test]
async fn a_token_set_beyond_the_limit_is_returned() {
    let app = TestApp::new().await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    for (size, told, heard) in [(60_000, "approved", None), (300_000, "retry", Some("authorization_pending"))]
    {
        let codes = app.start_confidential(CONSOLE).await;
        let large =
            Overrides::from([("large", json!("x".repeat(size))), ("access_token", json!("y".repeat(size)))]);
        app.dev_pool().faults().set(|faults| {
            faults.token_response = large;
            faults.id_token_claims = Overrides::from([("at_hash", json!(null))]);
        });
        assert_eq!(outcome(&alice.approve(&codes).await), told);
        let answer = app.poll_confidential(CONSOLE, &codes).await;
        match heard {
            Some(error) => assert_eq!(answer.error(), error),
            None => assert_eq!(answer.json()["access_token"].as_str().unwrap().len(), size),
        }
    }
    assert_eq!(app.dev_pool().requests().count(Endpoint::Revoke), 1);
}
