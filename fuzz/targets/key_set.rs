//! JWK sets: a key has one name, whatever stands beside it.
#![no_main]

use device_grant_domain::jws::{KeySet, PublicKey, is_private};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn check(jwk: &Value) {
    let Some(key) = PublicKey::read(jwk) else { return };
    let name = key.thumbprint().as_str();
    assert!(name.len() == 43 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    let mut more = jwk.clone();
    more["unknown"] = Value::Bool(true);
    assert_eq!(is_private(&more), is_private(jwk));
    assert_eq!(
        PublicKey::read(&more).expect("members that are not known change nothing").thumbprint().as_str(),
        name
    );
}

fuzz_target!(|data: &[u8]| {
    let set = KeySet::read(data);
    let Ok(document) = serde_json::from_slice::<Value>(data) else {
        assert!(set.is_none());
        return;
    };
    check(&document);
    let listed = document.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    listed.iter().for_each(check);
    assert_eq!(set.is_some(), listed.iter().any(|jwk| PublicKey::read(jwk).is_some()));
});
