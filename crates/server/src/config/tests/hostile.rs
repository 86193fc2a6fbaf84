//! Whatever is written: it is taken, or refused in words that tell no secret.

use device_grant_domain::{KeyMaterial, Purpose};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{GOOD, Written};
use crate::config::{decode_keyring, encode_keyring};

const MARKER: &str = "marker-4f1c9a7e";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,80}", line in "[a-z_.]{1,12} = (\"\\PC{0,12}\"|[0-9e_.-]{1,9}|\\[\\]|\\{\\})") {
        for file in [text.clone(), format!("{line}\n{GOOD}"), format!("{GOOD}{line}\n"), format!("{GOOD}[codes]\n{line}\n")] {
            let told = Written::new(&file).load(&[("DEVICE_GRANT__CLIENT", &text.replace('\0', ""))]);
            prop_assert!(told.is_ok() || told.is_err_and(|lines| !lines.is_empty()));
        }
    }

    #[test]
    fn no_problem_quotes_a_secret(line in "\\PC{0,30}", place in "(upstream.client_secret|keyring.keys)") {
        let file = format!("{place} = \"{MARKER}\"\n{line}\n{GOOD}");
        let told = Written::new(&file).load(&[]).err().unwrap_or_default().join("\n");
        prop_assert!(!told.contains(MARKER), "{}", told);
    }

    #[test]
    fn a_keyring_reads_back(secrets in proptest::collection::vec((any::<[u8; 32]>(), any::<u8>(), any::<Option<u32>>()), 2..6), text in "\\PC{0,40}") {
        let keys: Vec<_> = secrets.iter().enumerate().map(|(at, (secret, number, since))| KeyMaterial {
            number: *number,
            purpose: if at % 2 == 0 { Purpose::Request } else { Purpose::Durable },
            active: at < 2,
            activated_at: since.map(|since| device_grant_domain::Timestamp::from_secs(since.into())),
            secret: Zeroizing::new(*secret),
        }).collect();
        let written = encode_keyring(&keys);
        if let Ok(read) = decode_keyring(&written) {
            let plain = |keys: &[KeyMaterial]| -> Vec<_> {
                keys.iter().map(|key| (key.number, key.purpose, key.active, key.activated_at, *key.secret)).collect()
            };
            prop_assert_eq!(plain(&read), plain(&keys));
        }
        let refused = decode_keyring(&format!("{text}\nsecret = \"{MARKER}\"\n")).err().unwrap();
        prop_assert!(!refused.contains(MARKER), "{}", refused);
    }
}
