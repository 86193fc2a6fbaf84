//! The configuration file and the environment over it: taken, or refused in words that tell no secret.
#![no_main]

use std::collections::BTreeMap;

use device_grant::fuzzing::configuration;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "canary-4f1c9a7e";
const SECRETS: [&str; 2] = ["DEVICE_GRANT__UPSTREAM__CLIENT_SECRET", "DEVICE_GRANT__KEYRING__KEYS"];

/// A file, and behind a NUL the environment: `NAME=value`, one a line.
fn read(text: &str) -> (&str, BTreeMap<String, String>) {
    let (file, environment) = text.split_once('\0').unwrap_or((text, ""));
    let pairs = environment.lines().filter_map(|line| line.split_once('='));
    (file, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fuzz_target!(|text: &str| {
    let (file, mut environment) = read(text);
    let Some(first) = configuration(file, &environment) else { return };
    assert_eq!(configuration(file, &environment), Some(first.clone()), "twice the same");
    if let Err(words) = first {
        assert!(!words.is_empty());
    }
    for name in SECRETS {
        environment.insert(name.to_owned(), SECRET.to_owned());
    }
    if let Some(Err(words)) = configuration(file, &environment) {
        assert!(text.contains(SECRET) || !words.contains(SECRET), "{words}");
    }
});
