//! `device-grant client`, with a server at work.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Directory, NOBODY, Server, configuration, stderr, stdout};

fn serve(directory: &Directory) -> Server {
    // To ask until a secret is known counts as showing wrong ones.
    let more = "[clients]\nin_store = true\n[limits]\nwrong_secrets_per_minute = 10000\n";
    directory.write("device-grant.toml", &(configuration(NOBODY) + more));
    Server::start(directory, &["serve"])
}

fn client(directory: &Directory, args: &[&str]) -> String {
    let output = directory.run(&[&["client"], args].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// What a device hears that starts.
fn start(server: &Server, form: &str) -> String {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!("POST /device_authorization HTTP/1.1\r\nHost: {}\r\n", server.address);
    let rest = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n";
    write!(stream, "{head}{rest}Content-Length: {}\r\n\r\n{form}", form.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn start_until(server: &Server, form: &str, words: &str) {
    for _ in 0..600 {
        if start(server, form).contains(words) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{}", start(server, form));
}

fn secret_in(said: &str) -> String {
    said.lines().find_map(|line| line.strip_prefix("client_secret  ")).unwrap().to_owned()
}

#[test]
fn a_client_is_registered_rotated_and_removed_under_a_running_server() {
    let directory = Directory::new();
    let server = serve(&directory);
    let said = client(
        &directory,
        &[
            "add",
            "speaker",
            "--name",
            "The \"Speaker\"",
            "--auth-method",
            "client_secret_post",
            "--scope",
            "openid",
        ],
    );
    let secret = secret_in(&said);
    assert!(secret.starts_with("dgs1_"), "{said}");
    let form = |secret: &str| format!("client_id=speaker&client_secret={secret}");
    start_until(&server, &form(&secret), "\"device_code\"");
    assert!(start(&server, &form("wrong")).contains("invalid_client"));
    assert!(
        start(&server, "client_id=tv").contains("\"device_code\""),
        "those of the configuration are served too"
    );

    let listed = client(&directory, &["list"]);
    assert!(listed.starts_with("speaker  The \"Speaker\"  "), "{listed}");
    let shown = client(&directory, &["show", "speaker"]);
    assert!(shown.contains("scopes = [\"openid\"]") && shown.contains("durable key 1"), "{shown}");
    assert!(!shown.contains(&secret), "{shown}");

    let rotated = client(&directory, &["rotate-secret", "speaker", "--keep-old-s", "3600"]);
    let fresh = secret_in(&rotated);
    start_until(&server, &form(&fresh), "\"device_code\"");
    assert!(start(&server, &form(&secret)).contains("\"device_code\""), "the old one is good for a while");
    let last = secret_in(&client(&directory, &["rotate-secret", "speaker", "--keep-old-s", "0"]));
    start_until(&server, &form(&fresh), "invalid_client");
    let known = start(&server, &form(&last));
    assert!(known.contains("\"device_code\""), "{known}");

    client(&directory, &["remove", "speaker"]);
    start_until(&server, &form(&last), "invalid_client");
    server.terminate();
    assert!(server.wait().success());
    let dump = std::fs::read(directory.path("device-grant.db")).unwrap();
    for secret in [secret, fresh, last] {
        assert!(
            !dump.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "a secret is in the store"
        );
    }
}

#[test]
fn what_cannot_be_registered_is_refused_with_the_remedy() {
    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(NOBODY));
    let off = directory.run(&["client", "list"]);
    assert!(stderr(&off).contains("clients.in_store = true"), "{}", stderr(&off));
    directory.write("device-grant.toml", &(configuration(NOBODY) + "[clients]\nin_store = true\n"));
    directory.write("wrong.toml", "scope = [\"openid\"]\nsecret = \"hunter2\"\n");
    directory.write("long.toml", "lifetime_s = 86400\n");
    directory.write("same.toml", "upstream_client_id = \"same\"\n");
    directory.write("bound.toml", "upstream_client_id = \"own\"\ndpop = \"required\"\n");
    for (args, words) in [
        (["box", "--settings", "wrong.toml"].as_slice(), "`client.scopes`, the nearest known name"),
        (&["box", "--settings", "wrong.toml"], "makes secrets and takes keys itself"),
        (&["box", "--settings", "long.toml"], "a shorter life: codes of 39.3 bits"),
        (&["box", "--settings", "same.toml"], "only the hash of its secret is known"),
        (&["box", "--settings", "bound.toml", "--auth-method", "none"], "nothing would bind them to its key"),
        (&["box", "--auth-method", "private_key_jwt"], "--jwks-file FILE"),
        (&["b\u{fc}chse"], "printable ASCII"),
    ] {
        let refused = directory.run(&[&["client", "add"], args].concat());
        assert!(!refused.status.success());
        let said = stderr(&refused);
        assert!(said.contains(words) && !said.contains("hunter2"), "{args:?}: {said}");
    }
    let public = client(&directory, &["add", "box", "--auth-method", "none"]);
    assert!(public.contains("client_id      box") && !public.contains("client_secret"), "{public}");
    let twice = directory.run(&["client", "add", "box"]);
    assert!(stderr(&twice).contains("is registered already"), "{}", stderr(&twice));
}

/// Who is removed where the pool's app clients are device clients may be one of those again, and whoever removes it hears so.
#[test]
fn whoever_removes_a_client_hears_of_the_app_client_behind_it() {
    let directory = Directory::new();
    let common = "public_url = \"http://127.0.0.1:8080\"\nlisten = \"127.0.0.1:0\"\n[upstream]\nclient_id = \"device-grant\"\n";
    for (pool, is_told) in [
        (
            "preset = \"cognito\"\n[cognito]\nuser_pool_id = \"eu-west-1_a\"\n[clients]\nfrom_pool = true\n",
            true,
        ),
        ("issuer = \"http://127.0.0.1:1\"\n[clients]\n", false),
    ] {
        directory.write("device-grant.toml", &format!("{common}{pool}in_store = true\n"));
        client(&directory, &["add", "box", "--auth-method", "none"]);
        let said = client(&directory, &["remove", "box"]);
        let told =
            said.contains("app client box") && said.contains("take http://127.0.0.1:8080/callback from");
        assert_eq!(told, is_told, "{said}");
    }
}
