//! `device-grant key`, with a server at work.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::process::Output;
use std::time::Duration;

use crate::support::{Directory, NOBODY, Server, configuration, get, mode, stderr, stdout};

/// A server on keys of its own file.
fn serve(directory: &Directory) -> Server {
    let made = directory.run(&["init", "--keyring", "keys"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let text = configuration(NOBODY) + "[keyring]\nfile = \"keys\"\n[clients]\nin_store = true\n";
    directory.write("device-grant.toml", &text);
    Server::start(directory, &["serve"])
}

fn key(directory: &Directory, args: &[&str]) -> Output {
    directory.run(&[&["key"], args].concat())
}

/// The lines of `key list`, once they please: the server looks at its file every ten seconds.
fn list_until(directory: &Directory, pleases: impl Fn(&str) -> bool) -> String {
    for _ in 0..600 {
        let listed = key(directory, &["list"]);
        assert!(listed.status.success(), "{}", stderr(&listed));
        if pleases(&stdout(&listed)) {
            return stdout(&listed);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{}", stdout(&key(directory, &["list"])));
}

#[test]
fn keys_are_rotated_under_a_running_server() {
    let directory = Directory::new();
    let server = serve(&directory);
    let listed = list_until(&directory, |listed| listed.contains("held by 1 of 1 replicas"));
    assert!(listed.starts_with("request    1  seals and opens"), "{listed}");

    let added = key(&directory, &["add", "request"]);
    assert!(stdout(&added).contains("Added request key 2 to keys."), "{} {}", stdout(&added), stderr(&added));
    assert_eq!(mode(&directory.path("keys")), 0o600);
    let early = key(&directory, &["activate", "request", "2"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(stderr(&early).contains("do not have the key yet"), "{}", stderr(&early));
    list_until(&directory, |listed| listed.contains("request    2  opens            held by 1 of 1"));
    let activated = key(&directory, &["activate", "request", "2"]);
    assert!(activated.status.success(), "{}", stderr(&activated));
    let listed = stdout(&key(&directory, &["list"]));
    assert!(listed.contains("request    2  seals and opens  active since "), "{listed}");

    for (args, why) in [
        (["retire", "request", "2"], "is active: add another"),
        (["retire", "request", "1"], "not before "),
        (["retire", "request", "9"], "has no request key 9; `device-grant key list`"),
        (["retire", "durable", "1"], "is active: add another"),
        (["activate", "request", "2"], "is active already"),
    ] {
        let refused = key(&directory, &args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(stderr(&refused).contains(why), "{args:?}: {}", stderr(&refused));
    }
    // A stolen key does not wait.
    let retired = key(&directory, &["retire", "request", "1", "--end-logins"]);
    assert!(stdout(&retired).contains("Retired request key 1."), "{}", stderr(&retired));
    assert_eq!(get(&server.address, "/readyz").0, 200);
}

/// A store that is not there is not made: nobody's keys are asked for in it.
#[test]
fn keys_are_not_rotated_in_a_store_of_nobody() {
    let directory = Directory::new();
    assert!(directory.run(&["init", "--keyring", "keys"]).status.success());
    directory.write("device-grant.toml", &configuration(NOBODY));
    let refused = key(&directory, &["add", "request", "--keyring", "keys"]);
    assert!(stderr(&refused).contains("there is no store device-grant.db"), "{}", stderr(&refused));
    assert!(!directory.path("device-grant.db").exists());
}

/// A service that runs as somebody else than its operator must be able to read its keys after a rotation.
#[test]
fn a_keyring_goes_on_to_belong_to_whom_it_belonged() {
    let directory = Directory::new();
    drop(serve(&directory));
    let keys = directory.path("keys");
    fs::set_permissions(&keys, Permissions::from_mode(0o640)).unwrap();
    // Only root can give a file away.
    let is_root = fs::metadata(&keys).unwrap().uid() == 0;
    if is_root {
        chown(&keys, Some(4711), Some(4712)).unwrap();
    }
    let belongs = || {
        let keys = fs::metadata(&keys).unwrap();
        (keys.uid(), keys.gid(), keys.mode() & 0o777)
    };
    let before = belongs();
    let added = key(&directory, &["add", "request", "--keyring", "keys"]);
    assert!(added.status.success(), "{}", stderr(&added));
    assert_eq!(belongs(), before, "as root: {is_root}");
}

/// Neither the link is lost nor what it leads to left behind.
#[test]
fn a_keyring_is_not_changed_through_a_link() {
    let directory = Directory::new();
    drop(serve(&directory));
    symlink("keys", directory.path("link")).unwrap();
    let before = fs::read_to_string(directory.path("keys")).unwrap();
    let refused = key(&directory, &["add", "request", "--keyring", "link"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("link is a link: name the file"), "{}", stderr(&refused));
    assert_eq!(fs::read_to_string(directory.path("link")).unwrap(), before);
    assert!(directory.path("link").is_symlink());
}

#[test]
fn a_durable_key_stays_while_devices_may_rest_on_it() {
    let directory = Directory::new();
    let server = serve(&directory);
    server.terminate();
    assert!(server.wait().success());
    for client in [["add", "speaker"].as_slice(), &["add", "box", "--auth-method", "none"]] {
        let registered = directory.run(&[&["client"], client].concat());
        assert!(registered.status.success(), "{}", stderr(&registered));
    }
    // A server that has ended is nobody to wait for; but nobody at all may be the wrong store.
    assert!(key(&directory, &["add", "durable"]).status.success());
    let refused = key(&directory, &["activate", "durable", "2"]);
    assert!(stderr(&refused).contains("no replica was heard in the last minute"), "{}", stderr(&refused));
    let done = key(&directory, &["activate", "durable", "2", "--no-replica-runs"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let refused = key(&directory, &["retire", "durable", "1", "--log-devices-out"]);
    assert!(stderr(&refused).contains("clients are hashed under it: speaker."), "{}", stderr(&refused));
    assert!(directory.run(&["client", "rotate-secret", "speaker", "--keep-old-s", "0"]).status.success());
    let refused = key(&directory, &["retire", "durable", "1"]);
    assert!(
        stderr(&refused).contains("refresh tokens of devices may still rest on it"),
        "{}",
        stderr(&refused)
    );
    let retired = key(&directory, &["retire", "durable", "1", "--log-devices-out"]);
    assert!(stdout(&retired).contains("Retired durable key 1."), "{}", stderr(&retired));
    let never_used = [["add", "durable"].as_slice(), &["retire", "durable", "3"]];
    for args in never_used {
        assert!(key(&directory, args).status.success(), "{args:?}");
    }
}

/// Keys that stand in the configuration itself cannot be changed there by a command, which says what to do.
#[test]
fn keys_without_a_file_are_left_alone() {
    let directory = Directory::new();
    drop(serve(&directory));
    directory.write("device-grant.toml", &configuration(NOBODY));
    let mut command = directory.command(&["key", "add", "request"]);
    let text = std::fs::read_to_string(directory.path("keys")).unwrap();
    let refused = command.env("DEVICE_GRANT__KEYRING__KEYS", text).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--keyring"), "{}", stderr(&refused));
}
