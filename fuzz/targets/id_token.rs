//! ID tokens: signed by the pool, for us, on this trip.
#![no_main]

use std::sync::LazyLock;

use device_grant_domain::jws::KeySet;
use device_grant_domain::{Timestamp, strict_json};
use device_grant_fuzz::{ISSUER, Signer, changed, halves};
use device_grant_protocol::Nonce;
use device_grant_upstream::fuzzing::takes_id_token;
use libfuzzer_sys::fuzz_target;

static OURS: LazyLock<(Signer, KeySet)> = LazyLock::new(|| {
    let signer = Signer::default();
    let keys = signer.key_set();
    (signer, keys)
});

fn takes(text: &str) -> bool {
    let now = Timestamp::from_secs(1_767_225_600);
    takes_id_token(text, &OURS.1, (ISSUER, "service", &Nonce::new("nonce")), now)
}

fuzz_target!(|data: &[u8]| {
    assert!(!takes(&String::from_utf8_lossy(data)), "nobody can forge");
    let Some((header, claims)) = halves(data) else { return };
    let signed = OURS.0.sign(header.as_bytes(), claims.as_bytes());
    if takes(&signed) {
        let claims = strict_json::object(claims.as_bytes()).expect("only plain JSON is taken");
        assert_eq!((&claims["iss"], &claims["nonce"]), (&ISSUER.into(), &"nonce".into()));
        assert!(claims["sub"].as_str().is_some_and(|subject| !subject.is_empty()));
        assert!(!takes(&changed(&signed, data.len() * 7)), "one character");
    }
});
