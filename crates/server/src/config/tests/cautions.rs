//! What works, and deserves a second look.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use device_grant_domain::{Keyring, SystemEntropy};

use super::{GOOD, Written, good};
use crate::config::encode_keyring;

/// CA-09: a secret that can be guessed is told of, and not shown.
#[test]
fn a_short_secret_is_told_of() {
    let with_secret = |secret: &str| {
        let client = "[[client]]\nid = \"box\"\nauth_method = \"client_secret_basic\"\n";
        good(&format!("{GOOD}{client}secret = \"{secret}\"\n")).warnings
    };
    let told = with_secret("fifteen-letters");
    assert!(
        told.len() == 1 && told[0].contains("client \"box\"") && !told[0].contains("fifteen"),
        "{told:?}"
    );
    assert_eq!(with_secret("sixteen-letters!"), Vec::<String>::new());
}

/// SEC-08: a keyring that every user of the machine can read is told of.
#[test]
fn a_keyring_that_is_open_to_others_is_told_of() {
    let keyring = Written::new(&encode_keyring(&Keyring::fresh_material(&SystemEntropy)));
    let with_mode = |mode| {
        fs::set_permissions(&keyring.0, Permissions::from_mode(mode)).unwrap();
        good(&format!("{GOOD}[keyring]\nfile = {:?}\n", keyring.0)).warnings
    };
    assert!(with_mode(0o644)[0].contains("chmod 600"));
    assert_eq!(with_mode(0o640), Vec::<String>::new());
}

/// SEC-13: plain http that others can reach is told of.
#[test]
fn plain_http_beyond_this_machine_is_told_of() {
    let with_listen = |listen: &str| {
        let text = GOOD.replace("https://login.example.com", "http://localhost:8080");
        good(&format!("listen = \"{listen}\"\n{text}")).warnings
    };
    assert!(with_listen("0.0.0.0:8080")[0].contains("plain http"));
    assert_eq!(with_listen("127.0.0.1:8080"), Vec::<String>::new());
    assert_eq!(with_listen("[::1]:8080"), Vec::<String>::new());
}

/// RT-08: a public client whose refresh tokens are bound by nothing is told of (RFC 9700 section 4.14.2).
#[test]
fn refresh_tokens_that_anybody_may_copy_are_told_of() {
    let unbound = GOOD.replace("rotates_refresh_tokens = true\n", "");
    let told = good(&unbound).warnings;
    assert!(told.len() == 1 && told[0].contains("client \"tv\"") && told[0].contains("dpop"), "{told:?}");
    for bound in ["dpop = \"required\"", "token_set = \"ACCESS\""] {
        assert_eq!(good(&format!("{unbound}{bound}\n")).warnings, Vec::<String>::new(), "{bound}");
    }
    assert_eq!(good(GOOD).warnings, Vec::<String>::new());
    let proven = unbound.replace("auth_method = \"none\"", "secret = \"sixteen-letters!\"");
    assert_eq!(good(&proven).warnings, Vec::<String>::new(), "a client with a secret has to show it");
}
