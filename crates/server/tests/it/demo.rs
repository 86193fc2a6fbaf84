//! `device-grant demo` and a device in front of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Directory, get, stderr};

/// The demo without a device. It ends with the test.
struct Demo {
    child: Child,
    facts: Value,
}

impl Demo {
    fn start(directory: &Directory) -> Self {
        let mut command = directory.command(&["demo", "--no-device", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, facts: serde_json::from_str(&line).unwrap() }
    }

    fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.facts))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_says_in_one_line_what_a_device_needs_and_serves() {
    let directory = Directory::new();
    let demo = Demo::start(&directory);
    for name in ["client_id", "client_secret", "public_client_id", "username", "password"] {
        assert!(!demo.fact(name).is_empty(), "{name}");
    }
    let base_url = demo.fact("base_url");
    let address = base_url.strip_prefix("http://").unwrap();
    assert_eq!(get(address, "/livez").0, 200);
    let (status, body) = get(address, "/.well-known/oauth-authorization-server");
    let metadata: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &metadata["issuer"]), (200, &Value::from(base_url)));
    assert_eq!(std::fs::read_dir(directory.path(".")).unwrap().count(), 0, "the demo needs no file");
}

#[test]
fn the_demo_is_for_this_machine_only() {
    let refused = Directory::new().run(&["demo", "--no-device", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("this machine only"), "{}", stderr(&refused));
}

#[test]
fn a_device_in_the_terminal_shows_its_codes_and_a_qr_code() {
    let directory = Directory::new();
    let demo = Demo::start(&directory);
    let args = ["login", "--issuer", demo.fact("base_url"), "--client-id", demo.fact("public_client_id")];
    let mut login = directory.command(&args);
    login.args(["--qr", "always"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut device = login.spawn().unwrap();
    let mut shown = String::new();
    let mut lines = BufReader::new(device.stdout.take().unwrap());
    while !shown.contains("and enter") {
        assert!(lines.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    device.kill().unwrap();
    device.wait().unwrap();
    assert!(shown.contains("/device") && shown.contains('█'), "{shown}");
}

/// Whoever ends the terminal's login gives its code up, if the server can still be told.
#[test]
fn a_login_that_is_interrupted_gives_its_code_up() {
    for (server_is_there, told) in [(true, "the code was given up"), (false, "could not be given up")] {
        let directory = Directory::new();
        let demo = Demo::start(&directory);
        let args = ["login", "--issuer", demo.fact("base_url"), "--client-id", demo.fact("public_client_id")];
        let mut login = directory.command(&args);
        let mut device = login.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(device.stdout.take().unwrap());
        let mut shown = String::new();
        while !shown.contains("and enter") {
            assert!(lines.read_line(&mut shown).unwrap() > 0, "{shown}");
        }
        let _demo = server_is_there.then_some(demo);
        assert!(Command::new("kill").args(["-INT", &device.id().to_string()]).status().unwrap().success());
        let ended = device.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        assert!(stderr(&ended).contains(told), "{}", stderr(&ended));
    }
}

#[test]
fn a_device_that_is_refused_says_why_and_ends_with_one() {
    let directory = Directory::new();
    let demo = Demo::start(&directory);
    let refused = directory.run(&["login", "--issuer", demo.fact("base_url"), "--client-id", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("invalid_client"), "{}", stderr(&refused));
}
