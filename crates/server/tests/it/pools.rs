//! Pools that cannot be used: the server starts all the same, says why, and recovers by itself.

use device_grant_dev_pool::{DevPoolConfig, LoopbackPool, Overrides};
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
