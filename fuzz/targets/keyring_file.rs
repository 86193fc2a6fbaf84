//! Keyring files: what is read is written and read again, and what is refused is not quoted.
#![no_main]

use device_grant::fuzzing::{read_keyring, write_keyring};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match read_keyring(text) {
    Ok(keys) => {
        let again = read_keyring(&write_keyring(&keys)).expect("what we write is readable");
        assert_eq!(again.len(), keys.len());
        for (one, other) in keys.iter().zip(&again) {
            assert_eq!((one.number, one.purpose, one.active), (other.number, other.purpose, other.active));
            assert_eq!((one.activated_at, &one.secret), (other.activated_at, &other.secret));
        }
    }
    Err(words) => {
        let is_secret = |part: &&str| part.len() >= 32 && part.bytes().all(|b| b.is_ascii_alphanumeric());
        assert!(!text.split('"').filter(is_secret).any(|secret| words.contains(secret)), "{words}");
    }
});
