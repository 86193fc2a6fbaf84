//! `Authorization: Basic`: both readings survive being written again.
#![no_main]

use base64::prelude::{BASE64_STANDARD, Engine as _};
use device_grant_protocol::BasicCredentials;
use libfuzzer_sys::fuzz_target;

fn header(id: &str, secret: &str) -> Vec<u8> {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}"))).into_bytes()
}

fn check(read: &BasicCredentials) {
    let (id, secret) = &read.raw;
    assert!(!id.is_empty() && !id.contains(':'));
    let again = BasicCredentials::parse(&header(id, secret.expose())).expect("what we read is readable");
    assert_eq!((&again.raw.0, again.raw.1.expose()), (id, secret.expose()));
    if let Some((id, secret)) = read.decoded.as_ref() {
        let encode = |half: &str| form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>();
        let again = BasicCredentials::parse(&header(&encode(id), &encode(secret.expose())));
        let (same, same_secret) = again.expect("it is readable").decoded.expect("no escape is broken");
        assert_eq!((&same, same_secret.expose()), (id, secret.expose()));
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(read) = BasicCredentials::parse(data) {
        check(&read);
    }
    // The bytes as the two halves: the way to them must not be found by chance.
    let halves = [b"basic ", BASE64_STANDARD.encode(data).as_bytes()].concat();
    if let Ok(read) = BasicCredentials::parse(&halves) {
        check(&read);
        let text = format!("{}:{}", read.raw.0, read.raw.1.expose());
        assert_eq!(text.as_bytes(), data, "the raw reading is what was sent");
    }
});
