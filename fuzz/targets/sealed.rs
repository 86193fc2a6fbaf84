//! Whatever is sealed opens as it was, for its use alone; whatever was not sealed here never opens.
#![no_main]

use std::sync::LazyLock;

use device_grant_domain::{Keyring, Purpose, SystemEntropy};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Keyring> = LazyLock::new(|| {
    Keyring::new(Keyring::fresh_material(&SystemEntropy)).expect("fresh keys make a keyring")
});

fuzz_target!(|input: (&[u8], &[u8], u16, u8)| {
    let (text, aad, at, flip) = input;
    let open = |label, aad: &[u8], sealed: &[u8]| KEYS.open(Purpose::Request, label, aad, sealed);
    assert!(open("cookie", aad, text).is_err(), "nobody can forge");
    let mut sealed = KEYS.seal(Purpose::Request, "cookie", aad, text);
    assert_eq!(open("cookie", aad, &sealed).as_deref(), Ok(text));
    assert!(open("other", aad, &sealed).is_err());
    assert!(open("cookie", &[aad, b"x"].concat(), &sealed).is_err());
    assert!(KEYS.open(Purpose::Durable, "cookie", aad, &sealed).is_err());
    let at = usize::from(at) % sealed.len();
    assert!(open("cookie", aad, &sealed[..at]).is_err(), "nothing may be missing");
    sealed[at] ^= flip.max(1);
    assert!(open("cookie", aad, &sealed).is_err(), "no bit may differ");
});
