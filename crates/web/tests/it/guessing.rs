//! People who guess user codes, and people who do not.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use device_grant_domain::client::DeviceClient;
use device_grant_domain::codes::CodeFormat;
use device_grant_domain::policy::Prompt;
use device_grant_domain::{Entry, GuessLimits, Guesser, Network, SystemEntropy, below};
use device_grant_testkit::Call;
use tokio::task::JoinSet;

use super::app::*;
use super::browser::{Browser, field, outcome, text};

const WRONG: &str = "WDJB-MJHT";

fn limits(per_account: u32, per_network: u32) -> Options {
    let settings = Box::new(move |settings: &mut device_grant_domain::Settings| {
        settings.guess_limits = GuessLimits { per_account, per_network, ..settings.guess_limits };
    });
    Options { settings, ..Options::default() }
}

/// Enters a code as somebody else would, without a browser.
async fn enter(app: &TestApp, (account, session, network): (&str, &str, &str), typed: &str) -> Entry {
    app.services[0].enter(guesser(account, session, network), typed).await.unwrap()
}

fn guesser<'a>(account: &'a str, session: &'a str, network: &str) -> Guesser<'a> {
    // Each name of a network is another address.
    let mut address = [198, 0, 0, 0];
    for (byte, letter) in address[1..].iter_mut().zip(network.bytes()) {
        *byte = letter;
    }
    Guesser { account: Some(account), session, network: Network::of(address.into()) }
}

/// UC-06: two hundred wrong codes at once over two replicas: at most the limit reach a look-up; then the right code is
/// refused too, until the window is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_guesses_reach_no_more_look_ups_than_the_limit() {
    let app = Arc::new(TestApp::new().await);
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    let page = alice.sign_in().await;
    let csrf = field(&page, "#continue", "csrf");
    let jar: Vec<String> = alice.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut guesses = JoinSet::new();
    for n in 0..200 {
        let (app, csrf, jar) = (Arc::clone(&app), csrf.clone(), jar.join("; "));
        guesses.spawn(async move {
            let typed = format!("BBBB-B{n:03}");
            let mut guess = post("/device", &[("intent", "lookup"), ("csrf", &csrf), ("user_code", &typed)]);
            guess.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
            guess.headers_mut().insert(header::COOKIE, jar.parse().unwrap());
            app.send_to(n % 2, guess).await.status
        });
    }
    let answers = guesses.join_all().await;
    let looked_up = answers.iter().filter(|status| **status == StatusCode::OK).count();
    assert_eq!(app.store.count(Call::Find), 20);
    assert_eq!(looked_up, 20, "{answers:?}");
    assert_eq!(alice.enter(&codes.user_code).await.status, StatusCode::TOO_MANY_REQUESTS);
    app.advance(3600);
    let fresh = app.start(TV).await;
    assert!(text(&alice.enter(&fresh.user_code).await, "#authorize").is_some());
}

/// UC-06: a guesser is counted as an account and as a browser session, whichever of them is kept.
#[tokio::test]
async fn neither_another_session_nor_another_account_brings_more_guesses() {
    let app = TestApp::with(limits(3, 1000)).await;
    let codes = app.start(TV).await;
    for n in 0..3 {
        assert!(matches!(enter(&app, ("mallory", &n.to_string(), "a"), WRONG).await, Entry::NoMatch));
        assert!(matches!(enter(&app, (&n.to_string(), "one-browser", "b"), WRONG).await, Entry::NoMatch));
    }
    let other_session = enter(&app, ("mallory", "fresh", "c"), &codes.user_code).await;
    let other_account = enter(&app, ("fresh", "one-browser", "d"), &codes.user_code).await;
    assert!(matches!(other_session, Entry::TooMany), "{other_session:?}");
    assert!(matches!(other_account, Entry::TooMany), "{other_account:?}");
}

/// UC-07: what a browser session full of somebody's misses refuses costs the account nothing that is refused there.
#[tokio::test]
async fn a_refusal_takes_no_guess() {
    let app = TestApp::with(limits(3, 1000)).await;
    for n in 0..3 {
        enter(&app, (&n.to_string(), "one-browser", "a"), WRONG).await;
    }
    for _ in 0..3 {
        assert!(matches!(enter(&app, ("ann", "one-browser", "a"), WRONG).await, Entry::TooMany));
    }
    for _ in 0..3 {
        assert!(matches!(enter(&app, ("ann", "anns-phone", "a"), WRONG).await, Entry::NoMatch));
    }
    assert!(matches!(enter(&app, ("ann", "anns-phone", "a"), WRONG).await, Entry::TooMany));
}

/// UC-06, UC-07: a network's count stops those who have missed, and nobody else: people behind one carrier's address
/// still get in, each with one miss to spare.
#[tokio::test]
async fn a_guesser_locks_nobody_out_of_a_shared_network() {
    let app = TestApp::with(limits(20, 60)).await;
    let codes = app.start(TV).await;
    for account in 0..3 {
        for _ in 0..20 {
            let guess = enter(&app, (&account.to_string(), &account.to_string(), "nat"), WRONG).await;
            assert!(matches!(guess, Entry::NoMatch), "{guess:?}");
        }
    }
    let honest = ("ann", "anns-phone", "nat");
    assert!(matches!(enter(&app, honest, &codes.user_code).await, Entry::Found { .. }));
    assert!(matches!(enter(&app, honest, WRONG).await, Entry::NoMatch));
    assert!(matches!(enter(&app, honest, &codes.user_code).await, Entry::TooMany), "her network is full");
    assert!(matches!(
        enter(&app, ("ann", "anns-phone", "home"), &codes.user_code).await,
        Entry::Found { .. }
    ));
}

/// UC-06: a hit gives back the guess that it took, and resets nothing: a code of one's own opens no door to more guesses.
#[tokio::test]
async fn a_success_resets_no_count() {
    let app = TestApp::with(limits(100, 6)).await;
    let codes = app.start(TV).await;
    let mallory = ("mallory", "browser", "nat");
    for _ in 0..6 {
        assert!(matches!(enter(&app, mallory, WRONG).await, Entry::NoMatch));
        assert!(matches!(enter(&app, mallory, &codes.user_code).await, Entry::Found { .. }));
    }
    assert!(matches!(enter(&app, mallory, WRONG).await, Entry::NoMatch), "the first miss of an account");
    assert!(matches!(enter(&app, mallory, WRONG).await, Entry::TooMany));
}

/// UC-08: unknown, malformed, expired, used and denied codes cost the same calls of the store, in the same order.
#[tokio::test]
async fn codes_that_lead_nowhere_cost_the_same() {
    let app = TestApp::with(limits(1000, 1000)).await;
    let (used, denied, expired) = (app.start(TV).await, app.start(TV).await, app.start(OTHER).await);
    let mut alice = Browser::alice(&app);
    alice.approve(&used).await;
    alice.deny(&denied).await;
    app.advance(1800);
    let mut costs = Vec::new();
    for code in [&used.user_code, &denied.user_code, &expired.user_code, WRONG, "malformed", "ß"] {
        let calls = [Call::Reserve, Call::Find, Call::Load, Call::GiveBack, Call::Add];
        let before = calls.map(|call| app.store.count(call));
        let found = enter(&app, ("ann", "browser", "home"), code).await;
        assert!(matches!(found, Entry::NoMatch), "{code}: {found:?}");
        let after = calls.map(|call| app.store.count(call));
        // What the store itself reads beyond this is the request of a code that was issued; a code that was not costs that
        // read here.
        let issued = [&used, &denied, &expired].iter().any(|codes| codes.user_code == *code);
        let reads = after[2] - before[2] + u32::from(issued);
        costs.push((
            after[0] - before[0],
            after[1] - before[1],
            reads,
            after[3] - before[3],
            after[4] - before[4],
        ));
    }
    assert!(costs.iter().all(|cost| *cost == (3, 1, 1, 0, 0)), "{costs:?}");
}

/// UC-06: a guess whose look-up failed taught nobody anything, and is given back.
#[tokio::test]
async fn a_guess_that_was_not_looked_up_is_given_back() {
    let app = TestApp::with(limits(1, 1)).await;
    let codes = app.start(TV).await;
    let ann = guesser("ann", "browser", "home");
    app.store.fail(Call::Find, device_grant_testkit::StoreFault::Before, 3);
    for _ in 0..3 {
        app.services[0].enter(ann, &codes.user_code).await.unwrap_err();
    }
    let found = app.services[0].enter(ann, &codes.user_code).await.unwrap();
    assert!(matches!(found, Entry::Found { .. }), "{found:?}");
}

/// UC-06: a guess that cannot be reserved is not looked up.
#[tokio::test]
async fn without_a_reservation_nothing_is_looked_up() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let mut alice = Browser::alice(&app);
    alice.sign_in().await;
    app.store.fail(Call::Reserve, device_grant_testkit::StoreFault::Before, 1);
    let page = alice.enter(&codes.user_code).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(&page, "#notice").unwrap().contains("Try again"), "{}", page.text);
    assert_eq!(app.store.count(Call::Find), 0);
}

/// UC-06, UC-07: while more codes are live, or more guesses miss, than the length is good for, new codes are longer, on
/// every replica; old ones stay good, and when the flood is over new ones are short again.
#[tokio::test]
async fn new_codes_grow_under_pressure_and_nobody_is_refused() {
    let settings = Box::new(|settings: &mut device_grant_domain::Settings| {
        settings.grow_user_codes = true;
        settings.guess_limits =
            GuessLimits { per_account: 1000, per_network: 100_000, ..settings.guess_limits };
        settings.user_code = CodeFormat::user_code("#", 8, true).unwrap();
    });
    let app = TestApp::with(Options { settings, ..Options::default() }).await;
    // 10^8 codes and a thousand guesses each: any live one is hit with 2^-16.6 while there is one.
    let first = app.start(TV).await;
    assert_eq!(first.user_code.replace('-', "").len(), 8);
    app.start(TV).await;
    let grown = app.start(TV).await;
    assert_eq!(grown.user_code.replace('-', "").len(), 12, "{}", grown.user_code);
    let on_other = async || {
        let form = [("client_id", TV)];
        codes(&app.send_to(1, post("/device_authorization", &form)).await).user_code.replace('-', "").len()
    };
    assert_eq!(on_other().await, 8, "the other replica does not know yet");
    app.services[0].share_tally().await;
    app.services[1].share_tally().await;
    assert_eq!(on_other().await, 12);

    let mut alice = Browser::alice(&app);
    for code in [&first.user_code, &grown.user_code] {
        assert!(text(&alice.enter(code).await, "#authorize").is_some(), "{code}");
    }
    app.advance(2 * 1800);
    assert_eq!(app.start(TV).await.user_code.replace('-', "").len(), 8, "the flood is over");
}

/// UC-06, UC-07: misses lengthen new codes as live codes do.
#[tokio::test]
async fn misses_lengthen_new_codes() {
    let settings = Box::new(|settings: &mut device_grant_domain::Settings| {
        settings.grow_user_codes = true;
        settings.guess_limits =
            GuessLimits { per_account: 10, per_network: 100_000, ..settings.guess_limits };
        settings.user_code = CodeFormat::user_code("#", 6, true).unwrap();
    });
    let app = TestApp::with(Options { settings, ..Options::default() }).await;
    let length = async || app.start(TV).await.user_code.replace('-', "").len();
    // 10^6 codes: ten guesses at one live code are 2^-16.6, sixteen are more than 2^-16.
    assert_eq!(length().await, 6);
    app.advance(2 * 1800);
    for n in 0..20 {
        enter(&app, (&n.to_string(), &n.to_string(), "nat"), "000000").await;
    }
    assert_eq!(length().await, 10);
}

/// UC-07: while codes are being guessed, whoever approves is asked to sign in at the pool anew, beside what the client's
/// policy wants to be shown. Nobody is refused for what comes of it.
#[tokio::test]
async fn under_attack_people_are_asked_to_sign_in_anew() {
    let settings = Box::new(|settings: &mut device_grant_domain::Settings| {
        settings.guess_limits =
            GuessLimits { per_account: 10, per_network: 100_000, ..settings.guess_limits };
        settings.user_code = CodeFormat::user_code("#", 6, true).unwrap();
    });
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        let other = clients.iter_mut().find(|client| client.id.as_str() == OTHER).unwrap();
        other.policies.step_up.prompt = Some(Prompt::Consent);
    });
    let app = TestApp::with(Options { settings, clients, ..Options::default() }).await;
    let prompts = async || {
        let mut prompts = Vec::new();
        for client in [TV, OTHER] {
            let away = Browser::alice(&app).authorize(&app.start(client).await).await;
            let prompt = away.query_pairs().find(|(name, _)| name == "prompt");
            prompts.push(prompt.map(|(_, value)| value.into_owned()).unwrap_or_default());
        }
        prompts
    };
    assert_eq!(prompts().await, ["", "consent"]);
    for n in 0..20 {
        enter(&app, (&n.to_string(), &n.to_string(), "nat"), "000000").await;
    }
    app.services[0].share_tally().await;
    assert_eq!(prompts().await, ["login", "login consent"]);
    let hour_ago = serde_json::json!(app.clock_s() - 3600);
    app.dev_pool().faults().set(|pool| pool.id_token_claims = [("auth_time", hour_ago)].into());
    assert_eq!(outcome(&Browser::alice(&app).approve(&app.start(TV).await).await), "approved");
    app.advance(2 * 1800);
    assert_eq!(prompts().await, ["", "consent"], "the attack is over");
}

/// UC-06: attackers with many accounts and addresses find as many codes as the published formula says.
#[tokio::test]
async fn simulated_attackers_agree_with_the_formula() {
    const CODES: u32 = 1000;
    const LIVE: u32 = 10;
    let settings = Box::new(|settings: &mut device_grant_domain::Settings| {
        settings.guess_limits = GuessLimits { per_account: 20, per_network: 60, ..settings.guess_limits };
        settings.user_code = CodeFormat::user_code("#", 3, false).unwrap();
    });
    // The codes outlive every round, whose guesses are counted in windows of their own.
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        for client in clients {
            client.lifetime = Some(Duration::from_hours(24 * 30));
        }
    });
    let app = TestApp::with(Options { settings, clients, ..Options::default() }).await;
    for _ in 0..LIVE {
        app.start(TV).await;
    }
    for (accounts, networks) in [(1, 1), (30, 30), (30, 10), (30, 2), (4, 1)] {
        let rounds = 2400 / (accounts * 20);
        let (mut hits, mut misses) = (0, 0);
        for _ in 0..rounds {
            let round = attack(&app, accounts, networks).await;
            (hits, misses) = (hits + round.0, misses + round.1);
            app.advance(2 * 1800);
        }
        let limits = app.services[0].settings.guess_limits;
        let allowed = rounds * u32::try_from(limits.guesses(accounts.into(), networks.into())).unwrap();
        // Accounts that are clever about which network to fill first get the last few.
        assert!((allowed * 95 / 100..=allowed).contains(&misses), "{misses} misses, {allowed} allowed");
        // Hits are given back, so that each miss comes with live / (codes - live) of them.
        let expected = f64::from(misses * LIVE) / f64::from(CODES - LIVE);
        let apart = (f64::from(hits) - expected).abs();
        assert!(apart < 5.0 * expected.sqrt(), "{hits} hits, expected {expected}");
    }
}

/// Each account guesses until it is refused; how many codes were found, and how many guesses missed.
async fn attack(app: &TestApp, accounts: u32, networks: u32) -> (u32, u32) {
    let (mut hits, mut misses) = (0, 0);
    for account in 0..accounts {
        let (who, network) = (account.to_string(), (account % networks).to_string());
        loop {
            let typed = format!("{:03}", below(&SystemEntropy, 1000));
            match enter(app, (&who, &who, &network), &typed).await {
                Entry::Found { .. } => hits += 1,
                Entry::NoMatch => misses += 1,
                Entry::TooMany => break,
            }
        }
    }
    (hits, misses)
}
