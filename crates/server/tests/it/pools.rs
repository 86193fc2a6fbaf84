//! Pools that cannot be used: the server starts all the same, says why, and recovers by itself.

use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool, Overrides};
use serde_json::{Value, json};

use crate::support::{Directory, Server, configuration, stdout};

/// Starts a server whose pool's discovery has `member` changed, and returns what `/readyz` and `doctor` say of it; then
/// the pool is mended, and the server must find out.
async fn told_of(member: &'static str, wrong: Value) -> (String, String) {
    let pool = LoopbackPool::spawn(DevPoolConfig::new).await.unwrap();
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(pool.issuer()));
    pool.pool().faults().set(|faults| faults.discovery = Overrides::from([(member, wrong)]));
    let faults = pool.pool().faults().clone();
    let watched = tokio::task::spawn_blocking(move || {
        let server = Server::start(&directory, &["serve"]);
        let unknown = |body: &str| body.contains("has not been asked yet");
        let ready = server.get_until("/readyz", |_, body| body.contains("degraded") && !unknown(body));
        let doctor = directory.run(&["doctor"]);
        assert_eq!(doctor.status.code(), Some(1));
        faults.clear();
        server.get_until("/readyz", |status, body| status == 200 && body.contains("\"ready\""));
        (ready, stdout(&doctor))
    });
    watched.await.unwrap()
}

/// UP-01: discovery that names another issuer.
#[tokio::test]
async fn a_pool_with_another_name_is_not_used_until_it_is_mended() {
    let (ready, doctor) = told_of("issuer", json!("https://evil.example")).await;
    for told in [&ready, &doctor] {
        assert!(told.contains("issuer"), "{told}");
    }
}

/// UP-09: discovery that lists PKCE methods, and S256 not among them.
#[tokio::test]
async fn a_pool_without_s256_is_not_used_until_it_is_mended() {
    let (ready, doctor) = told_of("code_challenge_methods_supported", json!(["plain"])).await;
    for told in [&ready, &doctor] {
        assert!(told.contains("S256"), "{told}");
    }
}

/// UP-08: `doctor` tells before anybody signs in that the pool refuses the credentials of a pool client, and of which.
#[tokio::test]
async fn credentials_that_the_pool_refuses_are_told() {
    let pool = LoopbackPool::spawn(|issuer| DevPoolConfig {
        clients: vec![DevClient::confidential("device-grant", "right", "http://127.0.0.1:8080/callback")],
        ..DevPoolConfig::new(issuer)
    });
    let pool = pool.await.unwrap();
    let directory = Directory::new();
    for (secret, own, told) in [
        ("right", "", "ok      user pool: it takes the credentials of device-grant"),
        ("wrong", "", "BROKEN  user pool: it refuses the credentials of device-grant"),
        (
            "right",
            "upstream_client_id = \"tv-at-the-pool\"",
            "BROKEN  user pool: it refuses the credentials of tv-at-the-pool",
        ),
    ] {
        let text = configuration(pool.issuer()).replace(
            "client_id = \"device-grant\"",
            &format!("client_id = \"device-grant\"\nclient_secret = \"{secret}\""),
        );
        directory.write("device-grant.toml", &format!("{text}\n{own}\n"));
        let mut command = directory.command(&["doctor"]);
        let doctor = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(stdout(&doctor).contains(told), "{}", stdout(&doctor));
        assert_eq!(doctor.status.success(), told.starts_with("ok"));
    }
}
