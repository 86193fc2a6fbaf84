//! `device-grant serve`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::{Directory, NOBODY, Server, configuration, get, mode, stderr};

#[test]
fn a_pool_that_does_not_answer_lets_the_server_start_degraded() {
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(NOBODY));
    let server = Server::start(&directory, &["serve"]);
    let body = server.get_until("/readyz", |status, body| status == 200 && body.contains("degraded"));
    assert!(body.contains("user pool"), "{body}");
    assert_eq!(get(&server.address, "/livez").0, 200);
}

/// HI-02: the soft limit of open files is raised to what the connections need; where the system forbids it, the log says so.
#[test]
fn there_are_files_for_all_connections_or_the_log_says_so() {
    let directory = Directory::new();
    directory.write(
        "device-grant.toml",
        &configuration(NOBODY).replace("[network]", "[network]\nmax_connections = 1000"),
    );
    let server = Server::start_by(directory.shell("ulimit -Sn 300; exec $0 serve"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("1256"), "{files}");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let mut child = directory.shell("ulimit -n 300; exec $0 serve").stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut before = log.lines().map(Result::unwrap).take_while(|line| !line.contains("\"serving\""));
    let told = before.find(|line| line.contains("LimitNOFILE"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told.unwrap().contains(r#""wanted":1256,"allowed":300"#));
}

#[test]
fn sigterm_drains_and_ends_with_zero() {
    let directory = Directory::new();
    let file = directory.write("other.toml", &configuration(NOBODY));
    let server = Server::start(&directory, &["serve", "--config", file.to_str().unwrap()]);
    server.get_until("/readyz", |status, _| status == 200);
    server.terminate();
    let body = server.get_until("/readyz", |status, _| status == 503);
    assert!(body.contains("draining"), "{body}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_embedded_store_makes_its_keyring_for_the_owner_only_and_uses_it_again() {
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(NOBODY));
    let keys = directory.path("device-grant.db.keys");
    let server = Server::start(&directory, &["serve"]);
    assert_eq!(mode(&keys), 0o600);
    assert_eq!(mode(&directory.path("device-grant.db")), 0o600);
    let made = std::fs::read(&keys).unwrap();
    server.terminate();
    assert!(server.wait().success());
    let again = Server::start(&directory, &["serve"]);
    assert_eq!(std::fs::read(&keys).unwrap(), made);
    drop(again);

    std::fs::remove_file(&keys).unwrap();
    let refused = directory.run(&["serve"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("put it back"), "{}", stderr(&refused));
    assert!(!keys.exists(), "new keys would hide the loss of the old ones");
}

#[test]
fn two_processes_on_one_embedded_file_are_refused() {
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(NOBODY));
    let _first = Server::start(&directory, &["serve"]);
    let second = directory.run(&["serve"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("in use by another process"), "{}", stderr(&second));
}

#[test]
fn a_wrong_configuration_ends_with_two_and_every_problem() {
    let directory = Directory::new();
    let wrong = configuration(NOBODY).replace("auth_method", "auth_methd").replace("listen =", "lisen =");
    directory.write("device-grant.toml", &wrong);
    for command in ["serve", "doctor"] {
        let refused = directory.run(&[command]);
        assert_eq!(refused.status.code(), Some(2), "{command}");
        let told = stderr(&refused);
        for line in [
            "device-grant.toml:2: lisen: found an unknown key, expected `listen`",
            "device-grant.toml:8: client[1].auth_method: found nothing",
            "device-grant.toml:10: client[1].auth_methd: found an unknown key, expected `client.auth_method`",
        ] {
            assert!(told.lines().any(|told| told.starts_with(line)), "{line}\nis not in\n{told}");
        }
        assert!(refused.stdout.is_empty());
    }
    assert!(!directory.path("device-grant.db").exists(), "nothing was opened");
}

#[test]
fn nothing_but_the_environment_of_the_sample_says_what_is_missing() {
    let directory = Directory::new();
    let sample = [
        ("CODE_VERIFICATION_URI", "login.example.com"),
        ("CUP_ID", "eu-west-1_a"),
        ("CUP_REGION", "eu-west-1"),
    ];
    let refused = directory.command(&["serve"]).envs(sample).env("APP_CLIENT_ID", "app").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = stderr(&refused);
    assert!(told.starts_with("configuration: client: found nothing"), "{told}");
    assert!(told.contains("[[client]]\nid = "), "{told}");
}

#[test]
fn a_table_without_shared_keys_is_refused() {
    let directory = Directory::new();
    let refused = directory.command(&["serve"]).env("DYNAMODB_TABLE", "Grants").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("device-grant init --keyring FILE"), "{}", stderr(&refused));
}
