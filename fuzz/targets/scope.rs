//! Scopes and client ids: one canonical form each.
#![no_main]

use std::collections::BTreeSet;

use device_grant_protocol::{ClientId, Scope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<ClientId>() {
        assert_eq!(id.as_str(), text, "an id is kept as it came");
        assert!(
            (1..=ClientId::MAX_LEN).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b))
        );
    }
    let Ok(scope) = text.parse::<Scope>() else { return };
    let written = scope.to_string();
    let again: Scope = written.parse().expect("what we write is readable");
    assert_eq!(again, scope);
    assert_eq!(again.to_string(), written, "the form is canonical");
    let tokens: BTreeSet<&str> = scope.tokens().collect();
    assert_eq!(tokens.len(), scope.tokens().count(), "no token stands twice");
    assert_eq!(
        tokens,
        text.split(' ').filter(|token| !token.is_empty()).collect(),
        "none is lost or made up"
    );
    assert!(scope.within(&again) && scope.union(&again) == scope);
});
