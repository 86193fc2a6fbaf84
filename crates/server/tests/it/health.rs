//! `device-grant health`.

use std::net::TcpListener;
use std::process::Output;

use crate::support::{Directory, NOBODY, Server, configuration, stderr, stdout};

/// `health` with nothing but where the server listens, as a container has it in its environment.
fn health(directory: &Directory, listen: &str) -> Output {
    let mut command = directory.command(&["health"]);
    // A proxy has no part in it.
    command.env("DEVICE_GRANT__LISTEN", listen).env("http_proxy", NOBODY).output().unwrap()
}

#[test]
fn a_server_that_lives_is_found_by_its_port_alone() {
    let directory = Directory::new();
    let file = directory.write("other.toml", &configuration(NOBODY));
    let server = Server::start(&directory, &["serve", "--config", file.to_str().unwrap()]);
    let port = server.address.rsplit(':').next().unwrap();
    for listen in [&server.address, &format!("0.0.0.0:{port}")] {
        let said = health(&directory, listen);
        assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
        assert_eq!(stdout(&said), format!("127.0.0.1:{port} lives\n"));
    }
}

/// A pool that is away is no reason to start the container anew.
#[test]
fn a_server_that_drains_still_lives() {
    let directory = Directory::new();
    let file = directory.write("other.toml", &configuration(NOBODY).replace("delay_s = 1", "delay_s = 300"));
    let server = Server::start(&directory, &["serve", "--config", file.to_str().unwrap()]);
    server.terminate();
    server.get_until("/readyz", |status, _| status == 503);
    assert_eq!(health(&directory, &server.address).status.code(), Some(0));
}

#[test]
fn without_a_server_it_ends_with_one_and_says_why() {
    let directory = Directory::new();
    let nobody = health(&directory, "127.0.0.1:1");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("no answer from http://127.0.0.1:1/livez"), "{}", stderr(&nobody));
    let unknown = health(&directory, "127.0.0.1:0");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("name one"), "{}", stderr(&unknown));
}

/// Container engines know no other exit codes than 0 and 1.
#[test]
fn a_wrong_configuration_ends_with_one_as_well() {
    let directory = Directory::new();
    directory.write("device-grant.toml", "lisen = \"127.0.0.1:8080\"\n");
    let wrong = directory.run(&["health"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("expected `listen`"), "{}", stderr(&wrong));
}

#[test]
fn whoever_accepts_and_does_not_answer_does_not_live() {
    let directory = Directory::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = health(&directory, &silent.local_addr().unwrap().to_string());
    assert_eq!(said.status.code(), Some(1));
    assert!(stderr(&said).contains("timed out"), "{}", stderr(&said));
}
