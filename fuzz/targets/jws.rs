//! Header and claims of a JWS: what was not signed is not believed, and one changed character unsigns it.
#![no_main]

use std::sync::LazyLock;

use device_grant_domain::jws::{Jws, KeySet, Rules, SigningAlgorithm};
use device_grant_domain::strict_json;
use device_grant_fuzz::{Signer, changed, halves};
use libfuzzer_sys::fuzz_target;

static OURS: LazyLock<(Signer, KeySet)> = LazyLock::new(|| {
    let signer = Signer::default();
    let keys = signer.key_set();
    (signer, keys)
});
const RULES: Rules<'_> =
    Rules { longest: 8192, types: &["jwt"], untyped: true, algorithms: &SigningAlgorithm::OF_DEVICES };

fn is_signed(text: &str) -> bool {
    Jws::read(text, &RULES).is_ok_and(|jws| jws.verify(&OURS.1).is_ok())
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Ok(jws) = Jws::read(&text, &RULES) {
        assert_eq!(text.split('.').count(), 3);
        assert!(jws.header("crit").is_none());
        assert!(RULES.algorithms.contains(&jws.algorithm()));
        let _ = jws.unverified();
    }
    assert!(!is_signed(&text), "nobody can forge");
    let Some((header, claims)) = halves(data) else { return };
    let signed = OURS.0.sign(header.as_bytes(), claims.as_bytes());
    if is_signed(&signed) {
        let header = strict_json::object(header.as_bytes()).expect("only plain JSON is taken");
        assert_eq!(header["alg"], "ES256", "the key fits no other");
        assert!(strict_json::object(claims.as_bytes()).is_some(), "only plain JSON is taken");
        assert!(!is_signed(&changed(&signed, data.len() * 7)), "one character");
    }
});
