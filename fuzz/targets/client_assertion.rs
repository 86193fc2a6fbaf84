//! Client assertions: taken once, from whom they name, and never after a change.
#![no_main]

use std::cell::RefCell;

use device_grant_domain::client::{Assertion, Credentials};
use device_grant_domain::{Network, strict_json};
use device_grant_fuzz::{Fixture, SIGNING_CLIENT, changed, halves, wait};
use device_grant_protocol::CLIENT_ASSERTION_TYPE_JWT_BEARER;
use libfuzzer_sys::fuzz_target;

/// Assertions that are taken are remembered, so the service is made anew after some.
const LIVES: u32 = 10_000;

thread_local!(static OURS: RefCell<(u32, Fixture)> = RefCell::default());

fn takes(ours: &Fixture, text: &str) -> bool {
    let assertion = Assertion { kind: CLIENT_ASSERTION_TYPE_JWT_BEARER, text };
    let credentials = Credentials {
        header: None,
        client_id: None,
        client_secret: None,
        assertion: Some(assertion),
        network: Network::default(),
        endpoint: "/token",
    };
    let client = wait(ours.service.authenticate(&credentials));
    client.inspect(|client| assert_eq!(client.id.as_str(), SIGNING_CLIENT)).is_ok()
}

fuzz_target!(|data: &[u8]| OURS.with_borrow_mut(|(uses, ours)| {
    *uses += 1;
    if *uses == LIVES {
        (*uses, *ours) = (0, Fixture::default());
    }
    assert!(!takes(ours, &String::from_utf8_lossy(data)), "nobody can forge");
    let Some((header, claims)) = halves(data) else { return };
    let signed = ours.signer.sign(header.as_bytes(), claims.as_bytes());
    assert!(!takes(ours, &changed(&signed, data.len() * 7)), "one character");
    if takes(ours, &signed) {
        let claims = strict_json::object(claims.as_bytes()).expect("only plain JSON is taken");
        assert_eq!((&claims["iss"], &claims["sub"]), (&SIGNING_CLIENT.into(), &SIGNING_CLIENT.into()));
        assert!(!takes(ours, &signed), "once");
    }
}));
