//! DPoP proofs: only what its own key has signed for this endpoint.
#![no_main]

use std::sync::LazyLock;

use device_grant_domain::strict_json;
use device_grant_fuzz::{CLIENT, Fixture, changed, halves};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static OURS: LazyLock<Fixture> = LazyLock::new(Fixture::default);

fn proves(header: &[u8]) -> bool {
    let proven = OURS.service.prove(&OURS.client(CLIENT), Some(header), "/token");
    proven.is_ok_and(|proven| proven.proof.is_some())
}

fuzz_target!(|data: &[u8]| {
    let _ = proves(data);
    let Some((header, claims)) = halves(data) else { return };
    let Some(mut header) = strict_json::object(header.as_bytes()) else { return };
    // The fuzzer does not know the key.
    header.entry("jwk").or_insert_with(|| OURS.signer.jwk());
    let signed = OURS.signer.sign(Value::Object(header.clone()).to_string().as_bytes(), claims.as_bytes());
    if proves(signed.as_bytes()) {
        assert!(header["typ"].as_str().is_some_and(|typ| typ.to_ascii_lowercase().ends_with("dpop+jwt")));
        let jwk = &header["jwk"];
        let own = OURS.signer.jwk();
        assert!(
            ["kty", "crv", "x", "y"].iter().all(|member| jwk[member] == own[member]),
            "the key that signed"
        );
        assert!(jwk.get("d").is_none());
        let claims = strict_json::object(claims.as_bytes()).expect("only plain JSON is taken");
        assert_eq!(claims["htm"], "POST");
        assert!(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()));
        assert!(!proves(changed(&signed, data.len() * 7).as_bytes()), "one character");
    }
});
