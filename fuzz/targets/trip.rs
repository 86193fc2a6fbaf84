//! The cookie of a trip to the pool: from strangers, changed, and with anything at all behind the seal.
#![no_main]

use std::sync::LazyLock;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::{AttemptId, Purpose};
use device_grant_fuzz::{Fixture, changed, wait};
use libfuzzer_sys::fuzz_target;

static OURS: LazyLock<(Fixture, String, String)> = LazyLock::new(|| {
    let fixture = Fixture::default();
    let (trip, url) =
        wait(fixture.service.depart_to_sign_in(None, false)).expect("the pool sends nobody away");
    let state = url.query_pairs().next().expect("it has a state").1.into_owned();
    let cookie = fixture.service.seal_trip(&trip);
    (fixture, state, cookie)
});

fuzz_target!(|data: &[u8]| {
    let (Fixture { service, .. }, state, cookie) = &*OURS;
    assert!(service.open_trip(state, cookie).is_some());
    let text = String::from_utf8_lossy(data);
    assert!(service.open_trip(state, &text).is_none(), "a stranger's cookie");
    assert!(text == state.as_str() || service.open_trip(&text, cookie).is_none(), "another trip's state");
    let at = data.iter().fold(0, |at: usize, byte| at.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    assert!(service.open_trip(state, &changed(cookie, at)).is_none(), "a changed cookie");
    // Behind the seal is what an older version may have written.
    let attempt = AttemptId::of_state(state);
    let sealed = service.keyring.seal(Purpose::Request, "trip", attempt.as_str().as_bytes(), data);
    if let Some(trip) = service.trip_of(&attempt, &BASE64_URL_SAFE_NO_PAD.encode(sealed)) {
        let again = service.trip_of(&trip.attempt, &service.seal_trip(&trip)).expect("a trip can be kept");
        assert_eq!((again.attempt, again.ends_at), (trip.attempt, trip.ends_at));
    }
});
