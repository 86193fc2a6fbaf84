//! One broken proof for each rule.

use super::super::signer::message;
use super::*;

fn broken_headers(signer: &Signer) -> Vec<Value> {
    let mut private = signer.jwk();
    private["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    let rsa_1024 = json!({ "kty": "RSA", "e": "AQAB", "n": "x".repeat(171) });
    vec![
        json!({ "typ": "JWT" }),
        json!({ "typ": null }),
        json!({ "typ": "client-authentication+jwt" }),
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "RS384" }),
        json!({ "alg": null }),
        json!({ "jwk": null }),
        json!({ "jwk": private }),
        json!({ "jwk": Signer::es256().jwk() }),
        json!({ "jwk": rsa_1024, "alg": "RS256" }),
        json!({ "jwk": { "kty": "oct", "k": "AAAA" } }),
        json!({ "jwk": "a key" }),
        json!({ "crit": ["b64"], "b64": false }),
    ]
}

fn broken_claims() -> [Value; 9] {
    [
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "htm": null }),
        json!({ "htm": "GET" }),
        json!({ "htm": "post" }),
        json!({ "htu": null }),
        json!({ "htu": "no URL" }),
        json!({ "iat": null }),
        json!({ "iat": "now" }),
    ]
}

/// DP-03, DP-04: one broken proof for each rule about its form, at the start and at a poll.
#[tokio::test]
async fn a_broken_proof_is_refused() {
    let (app, signer) = (app().await, Signer::es256());
    let codes = started(&app, TV, &signer).await;
    let created = app.store.count(Call::Create);
    for path in [START, "/token"] {
        let send = async |text: &str| match path {
            START => start(&app, TV, text).await,
            _ => poll_on(&app, 0, (TV, &codes), text).await,
        };
        for change in broken_headers(&signer) {
            let broken = signer.sign(&with(honest_header(&signer), &change), &honest_claims(&app, path));
            assert_refused(&send(&broken).await, &format!("{path}: {change}"));
        }
        for change in broken_claims() {
            assert_refused(&send(&proof(&app, &signer, path, &change)).await, &format!("{path}: {change}"));
        }
        let unsigned = message(&honest_header(&signer), &honest_claims(&app, path));
        let long = "j".repeat(7000);
        for text in
            ["", "x", "a.b.c", "a.b.c.d.e", &unsigned, &format!("{unsigned}."), &format!("{unsigned}.AAAA")]
        {
            assert_refused(&send(text).await, &format!("{path}: {text}"));
        }
        assert_refused(&send(&proof(&app, &signer, path, &json!({ "jti": long }))).await, "far too long");
    }
    assert_eq!(app.store.count(Call::Create), created, "nothing was issued");
    assert_eq!(
        poll(&app, TV, &codes, &signer).await.error(),
        "authorization_pending",
        "nor was anything slowed"
    );
}

/// DP-04, HI-10: two DPoP headers are one too many, whoever sends them.
#[tokio::test]
async fn two_proofs_are_refused() {
    let (app, signer) = (app().await, Signer::es256());
    for client in [TV, BARRED, "nobody"] {
        let one = fresh(&app, &signer, START);
        for other in [fresh(&app, &signer, START), one.clone(), String::new()] {
            let twice = carrying(carrying(post(START, &[("client_id", client)]), &one), &other);
            assert_refused(&app.send(twice).await, client);
        }
    }
    let joined = format!("{}, {}", fresh(&app, &signer, START), fresh(&app, &signer, START));
    assert_refused(&start(&app, TV, &joined).await, "as a proxy joins them");
}

/// DP-05: the public URL of the endpoint counts, whatever names the request used inside.
#[tokio::test]
async fn a_proof_is_for_the_public_url() {
    let (app, signer) = (app().await, Signer::es256());
    for (htu, good) in [
        ("https://login.example.com/device_authorization", true),
        ("https://LOGIN.EXAMPLE.COM:443/device_authorization?a=b#c", true),
        ("https://login.example.com/token", false),
        ("http://10.0.0.7:8080/device_authorization", false),
        ("http://login.example.com/device_authorization", false),
        ("https://login.example.com/Device_Authorization", false),
        ("https://login.example.com/", false),
    ] {
        let mut request =
            carrying(post(START, &[("client_id", TV)]), &proof(&app, &signer, START, &json!({ "htu": htu })));
        for (name, value) in
            [("host", "10.0.0.7:8080"), ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http")]
        {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = app.send(request).await;
        if good {
            assert_eq!(answer.status, StatusCode::OK, "{htu}");
        } else {
            assert_refused(&answer, htu);
        }
    }
}

/// DP-06: proofs are good within a short window around now, by the server's clock.
#[tokio::test]
async fn a_proof_is_fresh() {
    let (app, signer) = (app().await, Signer::es256());
    let now = app.clock.now().as_secs();
    for (iat, good) in [
        (now, true),
        (now - 119, true),
        (now - 120, false),
        (now - 600, false),
        (now + 60, true),
        (now + 61, false),
        (now + 600, false),
    ] {
        let answer = start(&app, TV, &proof(&app, &signer, START, &json!({ "iat": iat }))).await;
        if good {
            assert_eq!(answer.status, StatusCode::OK, "{iat}");
        } else {
            assert_refused(&answer, &iat.to_string());
        }
    }
}

/// DP-06: a proof works once, on all replicas, also when two arrive together; the same jti by another key is another proof.
#[tokio::test]
async fn a_proof_works_once() {
    let (app, signer) = (app().await, Signer::es256());
    let codes = started(&app, TV, &signer).await;
    let used = proof(&app, &signer, "/token", &json!({ "jti": "one" }));
    assert_eq!(poll_on(&app, 0, (TV, &codes), &used).await.error(), "authorization_pending");
    app.advance(5);
    for replica in [0, 1] {
        assert_refused(&poll_on(&app, replica, (TV, &codes), &used).await, "a replay");
    }
    app.advance(119 - 5);
    assert_refused(&poll_on(&app, 1, (TV, &codes), &used).await, "in its last second");
    let other = Signer::es256();
    let same_name = proof(&app, &other, "/token", &json!({ "jti": "one" }));
    let codes = started(&app, TV, &other).await;
    assert_eq!(poll_on(&app, 0, (TV, &codes), &same_name).await.error(), "authorization_pending");
    for _ in 0..10 {
        let proof = fresh(&app, &signer, START);
        let send = |replica| app.send_to(replica, carrying(post(START, &[("client_id", TV)]), &proof));
        let (one, other) = tokio::join!(send(0), send(1));
        let taken = [one, other].iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(taken, 1, "one success");
    }
}
