use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use device_grant_domain::client::{ClientAuth, DeviceClient, OtherSecret, SecretHash};

use super::app::*;

fn guess(client: &str, secret: &str, address: [u8; 4]) -> Request<Body> {
    from(with_basic(post("/device_authorization", &[]), client, secret), address)
}

/// CA-09: guessing is stopped where it happens; the real client elsewhere does not notice, and a guesser does not learn
/// whether the client exists.
#[tokio::test]
async fn guessing_a_secret_locks_nobody_else_out() {
    let app = TestApp::new().await;
    let (guesser, home) = ([203, 0, 113, 9], [198, 51, 100, 1]);
    for n in 0..1000 {
        let known = app.send(guess(SPEAKER, &n.to_string(), guesser)).await;
        let unknown = app.send(guess("nobody", &n.to_string(), guesser)).await;
        assert_eq!(
            (known.status, &known.text, &known.headers),
            (unknown.status, &unknown.text, &unknown.headers)
        );
        let expected = if n < 100 { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(known.status, expected, "guess {n}");
        if n >= 100 {
            assert_eq!(
                (known.error().as_str(), known.header(header::RETRY_AFTER)),
                ("temporarily_unavailable", "60")
            );
        }
    }
    let right = app.send(guess(SPEAKER, SECRET, guesser)).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "not even the right one, there");
    let form = [("client_id", SPEAKER), ("client_secret", SECRET)];
    let in_body = app.send(from(post("/device_authorization", &form), guesser)).await;
    assert_eq!(in_body.status, StatusCode::TOO_MANY_REQUESTS, "nor in the body");
    assert_eq!(app.send(guess(SPEAKER, SECRET, home)).await.status, StatusCode::OK, "elsewhere it goes on");
    assert_eq!(app.send(guess(CONSOLE, SECRET, guesser)).await.status, StatusCode::OK, "others there go on");
    app.advance(60);
    assert_eq!(
        app.send(guess(SPEAKER, SECRET, guesser)).await.status,
        StatusCode::OK,
        "and later it does too"
    );
}

/// CA-09, TP-18: a poll from where somebody guesses is told to come back: the login survives.
#[tokio::test]
async fn a_poll_beside_a_guesser_survives() {
    let app = TestApp::new().await;
    let codes = app.start_confidential(SPEAKER).await;
    for n in 0..100 {
        app.send(with_basic(post("/device_authorization", &[]), SPEAKER, &n.to_string())).await;
    }
    let polled = app.poll_confidential(SPEAKER, &codes).await;
    assert_eq!((polled.error().as_str(), polled.header(header::RETRY_AFTER)), ("slow_down", "60"));
    assert_eq!(polled.json()["interval"].as_u64(), Some(5), "the pace is as it was");
    app.advance(60);
    assert_eq!(app.poll_confidential(SPEAKER, &codes).await.error(), "authorization_pending");
}

/// CA-15: while a secret is rotated both are good, and a third is not.
#[tokio::test]
async fn secrets_overlap() {
    let clients = Box::new(|clients: &mut Vec<DeviceClient>| {
        let speaker = clients.iter_mut().find(|client| client.id.as_str() == SPEAKER).unwrap();
        let ClientAuth::Secret { other, .. } = &mut speaker.auth else { panic!("it has a secret") };
        *other = Some(OtherSecret { hash: SecretHash::of("fresh"), until: None });
    });
    let app = TestApp::with(Options { clients, ..Options::default() }).await;
    let network = [192, 0, 2, 1];
    for (secret, good) in [(SECRET, true), ("fresh", true), ("other", false), ("", false)] {
        let answer = app.send(guess(SPEAKER, secret, network)).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{secret}");
    }
}
