//! Forms and queries: what is read is written and read again.
#![no_main]

use std::collections::BTreeSet;

use device_grant_protocol::Params;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(params) = Params::parse(data) else { return };
    let names: Vec<&str> = params.names().collect();
    assert!(names.len() <= Params::MAX_COUNT);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "no name stands twice");
    let pairs = names.iter().map(|name| (*name, params.value(name).unwrap_or_default()));
    let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let again = Params::parse(written.as_bytes()).expect("what we read is readable");
    assert!(again.names().eq(names.iter().copied()));
    assert!(names.iter().all(|name| again.value(name) == params.value(name)));
});
