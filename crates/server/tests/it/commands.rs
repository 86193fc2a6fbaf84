//! `init`, `migrate`, `doctor`, and the help.

use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool};
use device_grant_testkit::TestBalancer;

use crate::support::{Directory, NOBODY, Server, configuration, mode, stderr, stdout};

/// A pool that knows our pool client.
async fn pool() -> LoopbackPool {
    let client = DevClient::public("device-grant", "http://127.0.0.1:8080/callback");
    let configure = |issuer| DevPoolConfig { clients: vec![client], ..DevPoolConfig::new(issuer) };
    LoopbackPool::spawn(configure).await.unwrap()
}

#[test]
fn the_help_names_every_command() {
    let help = Directory::new().run(&["--help"]);
    assert!(help.status.success());
    for command in ["demo", "serve", "login", "init", "migrate", "rotate-pool-secret", "doctor", "health"] {
        assert!(stdout(&help).lines().any(|line| line.trim_start().starts_with(command)), "{command}");
    }
    assert_eq!(Directory::new().run(&["sevre"]).status.code(), Some(2));
}

#[test]
fn init_writes_a_good_configuration_once() {
    let directory = Directory::new();
    assert!(directory.run(&["init"]).status.success());
    let written = std::fs::read_to_string(directory.path("device-grant.toml")).unwrap();
    assert!(written.contains("[[client]]"));
    let again = directory.run(&["init"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is there already"), "{}", stderr(&again));
    assert_eq!(std::fs::read_to_string(directory.path("device-grant.toml")).unwrap(), written);
}

#[test]
fn init_makes_a_keyring_once_for_the_owner_only() {
    let directory = Directory::new();
    assert!(directory.run(&["init", "--keyring", "keys"]).status.success());
    assert_eq!(mode(&directory.path("keys")), 0o600);
    let keys = std::fs::read(directory.path("keys")).unwrap();
    assert_eq!(directory.run(&["init", "--keyring", "keys"]).status.code(), Some(1));
    assert_eq!(std::fs::read(directory.path("keys")).unwrap(), keys);
    assert_eq!(std::fs::read_dir(directory.path(".")).unwrap().count(), 1, "nothing half-written stays");
}

#[test]
fn migrate_needs_the_store_alone_and_may_be_repeated() {
    let directory = Directory::new();
    let migrate = |told: &str| {
        let migrated = directory.run(&["migrate"]);
        assert!(migrated.status.success(), "{}", stderr(&migrated));
        assert!(stdout(&migrated).contains(told), "{}", stdout(&migrated));
    };
    // One that it made would lack the keys that the first server makes with it.
    migrate("There is no store device-grant.db yet");
    assert!(!directory.path("device-grant.db").exists());
    directory.write("device-grant.toml", &configuration(NOBODY));
    let server = Server::start(&directory, &["serve"]);
    server.terminate();
    assert!(server.wait().success());
    for _ in 0..2 {
        migrate("up to date");
    }
}

#[tokio::test]
async fn the_doctor_is_content_with_a_service_that_can_work() {
    let pool = pool().await;
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(pool.issuer()));
    let mut doctor = directory.command(&["doctor"]);
    let said = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let text = stdout(&said);
    assert!(said.status.success(), "{text}{}", stderr(&said));
    for about in ["configuration:", "keys:", "store:", "user pool:", "clock:"] {
        assert!(text.lines().any(|line| line.starts_with("ok") && line.contains(about)), "{about} {text}");
    }
    assert!(!directory.path("device-grant.db").exists(), "a check makes nothing");
}

/// CB-11: what discovery cannot tell, the doctor asks the operator to look at.
#[tokio::test]
async fn the_doctor_names_the_claim_that_two_pool_clients_need() {
    let pool = pool().await;
    let directory = Directory::new();
    let own = configuration(pool.issuer()) + "upstream_client_id = \"tv-at-the-pool\"\n";
    directory.write("device-grant.toml", &own);
    let mut doctor = directory.command(&["doctor"]);
    let said = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    assert!(stdout(&said).contains("upstream.account_claim"), "{}", stdout(&said));
}

/// CA-15: a client whose keys cannot be fetched cannot authenticate; the doctor says which and why.
#[tokio::test]
async fn the_doctor_fetches_the_keys_of_clients() {
    let pool = pool().await;
    let directory = Directory::new();
    let client = |id: &str, issuer: &str| {
        let uri = format!("{}/jwks", issuer.trim_end_matches('/'));
        format!("[[client]]\nid = \"{id}\"\nauth_method = \"private_key_jwt\"\njwks_uri = \"{uri}\"\n")
    };
    let clients = client("good", pool.issuer()) + &client("lost", NOBODY);
    directory.write("device-grant.toml", &(configuration(pool.issuer()) + &clients));
    let mut doctor = directory.command(&["doctor"]);
    let said = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let text = stdout(&said);
    assert_eq!(said.status.code(), Some(1), "{text}");
    let told =
        |mark: &str, words: &str| text.lines().any(|line| line.starts_with(mark) && line.contains(words));
    assert!(told("ok", "has keys of good") && told("BROKEN", "lost cannot authenticate"), "{text}");
}

/// Where a load balancer signs people in, its keys have to be had; the doctor says what can be known before it has signed
/// anything.
#[tokio::test]
async fn the_doctor_looks_for_the_keys_of_the_load_balancer() {
    let pool = pool().await;
    let balancer = TestBalancer::spawn().await.unwrap();
    for (key_url, broken, code, told) in [
        (balancer.key_url.as_str(), false, 0, "ok      load balancer: "),
        (&balancer.key_url, true, 0, "look    load balancer: "),
        (
            &format!("{NOBODY}/keys"),
            false,
            1,
            "BROKEN  load balancer: nobody can sign in, since http://127.0.0.1:1/keys has to be reached: no connection",
        ),
    ] {
        balancer.break_keys(broken);
        let directory = Directory::new();
        let network = "[network]\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
        let sections = format!(
            "[web]\nsign_in = \"alb\"\n[alb]\nsigner = \"{}\"\nclient_id = \"{}\"\nkey_url = \"{key_url}\"\n",
            balancer.signer,
            TestBalancer::CLIENT
        );
        let text = configuration(pool.issuer()).replace("[network]\n", network) + &sections;
        directory.write("device-grant.toml", &text);
        let mut doctor = directory.command(&["doctor"]);
        let said = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
        let text = stdout(&said);
        assert_eq!(said.status.code(), Some(code), "{text}{}", stderr(&said));
        assert!(text.lines().any(|line| line.starts_with(told) && line.contains(key_url)), "{told}{text}");
    }
    assert_eq!(balancer.looks(), 2, "where its keys are was asked, and nowhere else");
}

#[test]
fn the_doctor_says_that_the_pool_is_away_and_ends_with_one() {
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(NOBODY));
    let _server = Server::start(&directory, &["serve"]);
    let said = directory.run(&["doctor"]);
    assert_eq!(said.status.code(), Some(1));
    let text = stdout(&said);
    assert!(text.lines().any(|line| line.starts_with("BROKEN") && line.contains("user pool:")), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("ok") && line.contains("a server that runs has")),
        "{text}"
    );
}
