//! Enveloped refresh tokens: the pool hears what was sealed for this client, and nothing else ever.
#![no_main]

use std::sync::LazyLock;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::{Network, Purpose};
use device_grant_fuzz::{CLIENT, Fixture, SIGNING_CLIENT, changed, wait};
use device_grant_protocol::RefreshToken;
use libfuzzer_sys::fuzz_target;

static OURS: LazyLock<Fixture> = LazyLock::new(Fixture::default);

/// What the pool hears when `client` shows `token`.
fn heard(client: &str, token: &str) -> Option<String> {
    let token = RefreshToken::new(token);
    let client = OURS.client(client);
    let refresh = OURS.service.refresh(&client, (&token, None), None, Network::default());
    assert!(wait(refresh).is_err(), "this pool refuses everything");
    OURS.pool.take()
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    assert_eq!(heard(CLIENT, &text), None);
    assert_eq!(heard(CLIENT, &format!("dgr1.{text}")), None);
    let sealed = OURS.service.keyring.seal(Purpose::Durable, "refresh-token", CLIENT.as_bytes(), data);
    let envelope = format!("dgr1.{}", BASE64_URL_SAFE_NO_PAD.encode(sealed));
    let expected = std::str::from_utf8(data).ok().map(str::to_owned);
    assert_eq!(heard(CLIENT, &envelope), expected);
    assert_eq!(heard(SIGNING_CLIENT, &envelope), None, "another client's");
    assert_eq!(heard(CLIENT, &changed(&envelope, data.len())), None, "a changed one");
    assert_eq!(heard(CLIENT, &format!("{envelope}.{text}")), None, "with something behind");
    assert_eq!(
        heard(CLIENT, &envelope.replacen('.', &format!(".{text}."), 1)),
        None,
        "with a key in between"
    );
});
