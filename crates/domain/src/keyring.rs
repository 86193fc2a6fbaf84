//! Numbered keys with two purposes, and what is made from them.

use std::collections::BTreeMap;
use std::fmt;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, bytes};
use crate::time::Timestamp;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Cookies, the mailbox's pre-shared key, user-code MACs. Retired a code life and an hour after its successor.
    Request,
    /// Refresh-token envelopes. Never retired by age.
    Durable,
}

/// One key as a keyring source gives it.
#[derive(Clone)]
pub struct KeyMaterial {
    /// Tells the keys apart for ever; the first byte of everything sealed.
    pub number: u8,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether new things are sealed with it. Exactly one key of each purpose is.
    pub active: bool,
    /// When it became the active one, as far as that is known.
    pub activated_at: Option<Timestamp>,
    /// 32 random bytes.
    pub secret: Zeroizing<[u8; 32]>,
}

/// What a key is called wherever it may not be shown: purpose, number, and a fingerprint, since two keyrings may use one
/// number for two keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyName(String);

/// The keys that this replica holds. They can be replaced while it serves.
pub struct Keyring(ArcSwap<Keys>);

struct Keys {
    secrets: BTreeMap<(Purpose, u8), Zeroizing<[u8; 32]>>,
    active_request: Active,
    active_durable: Active,
}

/// The key that seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Active {
    number: u8,
    since: Option<Timestamp>,
}

/// A keyring that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// One number stands for two keys.
    #[error("key number {0} is used twice")]
    Repeated(u8),
    /// No key, or more than one, of a purpose is active.
    #[error("exactly one {0:?} key must be active")]
    NotOneActive(Purpose),
}

/// Why something sealed did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with a key that this replica lacks: a fault of the deployment, not of the caller.
    #[error("sealed with key {0}, which this keyring does not hold")]
    UnknownKey(u8),
    /// It was not sealed by this service for this use.
    #[error("not sealed here, or changed since")]
    Broken,
}

impl Keyring {
    /// A keyring of these keys.
    pub fn new(material: impl IntoIterator<Item = KeyMaterial>) -> Result<Self, KeyringError> {
        Ok(Self(ArcSwap::from_pointee(Keys::new(material)?)))
    }

    /// Holds these keys from now on.
    pub fn replace(&self, material: impl IntoIterator<Item = KeyMaterial>) -> Result<(), KeyringError> {
        self.0.store(Keys::new(material)?.into());
        Ok(())
    }

    /// Two fresh keys, one of each purpose, for a store that nobody else shares.
    pub fn fresh_material(entropy: &dyn Entropy) -> [KeyMaterial; 2] {
        [Purpose::Request, Purpose::Durable].map(|purpose| KeyMaterial {
            number: 1,
            purpose,
            active: true,
            activated_at: None,
            secret: Zeroizing::new(bytes(entropy)),
        })
    }

    /// Seals `plaintext` with the active key of `purpose`. `label` says which use of the product it belongs to and
    /// `aad` which record: it opens for the same two only.
    pub fn seal(&self, purpose: Purpose, label: &str, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let keys = self.0.load();
        let number = keys.active(purpose).number;
        let key = keys.aead(purpose, number, label).expect("the active key is in the keyring: `new` saw it");
        let mut sealed = plaintext.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(aad), &mut sealed)
            .expect("sealing fails only beyond 2^36 bytes, and every caller's input is bounded");
        [&[number][..], nonce.as_ref(), &sealed].concat()
    }

    /// Opens what [`Keyring::seal`] made.
    pub fn open(
        &self,
        purpose: Purpose,
        label: &str,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let (&number, rest) = sealed.split_first().ok_or(OpenError::Broken)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN).ok_or(OpenError::Broken)?;
        let key = self.0.load().aead(purpose, number, label)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Broken)?;
        let mut buffer = ciphertext.to_vec();
        let plaintext =
            key.open_in_place(nonce, Aad::from(aad), &mut buffer).map_err(|_| OpenError::Broken)?;
        Ok(plaintext.to_vec())
    }

    /// The MACs of `data` under every request key, the active key's first.
    pub fn macs(&self, label: &str, data: &[u8]) -> Vec<[u8; 32]> {
        let keys = self.0.load();
        let active = keys.active_request.number;
        let others = keys.numbers(Purpose::Request).filter(|number| *number != active);
        let numbers = std::iter::once(active).chain(others);
        let mac = |number| keys.mac((Purpose::Request, number), label, data);
        numbers.map(|number| mac(number).expect("the number was read from the keyring")).collect()
    }

    /// The MAC of `data` under the active durable key, with that key's number.
    pub fn durable_mac(&self, label: &str, data: &[u8]) -> (u8, [u8; 32]) {
        let keys = self.0.load();
        let number = keys.active_durable.number;
        let mac = keys.mac((Purpose::Durable, number), label, data);
        (number, mac.expect("the active key is in the keyring: `new` saw it"))
    }

    /// The MAC of `data` under the durable key `number`.
    pub fn durable_mac_under(&self, number: u8, label: &str, data: &[u8]) -> Result<[u8; 32], OpenError> {
        self.0.load().mac((Purpose::Durable, number), label, data)
    }

    /// The number of the key that new things of `purpose` are sealed with.
    pub fn active(&self, purpose: Purpose) -> u8 {
        self.0.load().active(purpose).number
    }

    /// The key that new things of `purpose` are sealed with, and since when as far as that is known.
    pub(crate) fn active_name(&self, purpose: Purpose) -> (KeyName, Option<Timestamp>) {
        let keys = self.0.load();
        let active = keys.active(purpose);
        (keys.name(purpose, active.number), active.since)
    }

    /// The name of one key, if it is in this keyring.
    pub fn name(&self, purpose: Purpose, number: u8) -> Option<KeyName> {
        let keys = self.0.load();
        keys.secrets.contains_key(&(purpose, number)).then(|| keys.name(purpose, number))
    }

    /// All keys of this keyring, by name.
    pub fn names(&self) -> Vec<KeyName> {
        let keys = self.0.load();
        keys.secrets.keys().map(|(purpose, number)| keys.name(*purpose, *number)).collect()
    }

    /// The pre-shared key that goes into a mailbox.
    pub(crate) fn mailbox_psk(&self, number: u8) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        self.0.load().subkey(Purpose::Request, number, "mailbox-psk")
    }
}

impl Keys {
    fn new(material: impl IntoIterator<Item = KeyMaterial>) -> Result<Self, KeyringError> {
        let mut secrets = BTreeMap::new();
        let mut active: Vec<(Purpose, Active)> = Vec::new();
        for key in material {
            if secrets.insert((key.purpose, key.number), key.secret).is_some() {
                return Err(KeyringError::Repeated(key.number));
            }
            if key.active {
                active.push((key.purpose, Active { number: key.number, since: key.activated_at }));
            }
        }
        let the_active = |purpose| {
            let mut of_purpose = active.iter().filter(|(of, _)| *of == purpose).map(|(_, active)| *active);
            match (of_purpose.next(), of_purpose.next()) {
                (Some(active), None) => Ok(active),
                _ => Err(KeyringError::NotOneActive(purpose)),
            }
        };
        let (active_request, active_durable) = (the_active(Purpose::Request)?, the_active(Purpose::Durable)?);
        Ok(Self { secrets, active_request, active_durable })
    }

    fn active(&self, purpose: Purpose) -> Active {
        match purpose {
            Purpose::Request => self.active_request,
            Purpose::Durable => self.active_durable,
        }
    }

    fn numbers(&self, of: Purpose) -> impl Iterator<Item = u8> {
        self.secrets.keys().rev().filter(move |(purpose, _)| *purpose == of).map(|(_, number)| *number)
    }

    fn name(&self, purpose: Purpose, number: u8) -> KeyName {
        let subkey = self.subkey(purpose, number, "fingerprint").expect("only keys of the keyring are named");
        let [a, b, c, d, ..] = *subkey;
        KeyName(format!("{}-{number}-{:08x}", purpose.as_str(), u32::from_be_bytes([a, b, c, d])))
    }

    fn mac(&self, (purpose, number): (Purpose, u8), label: &str, data: &[u8]) -> Result<[u8; 32], OpenError> {
        let secret = self.subkey(purpose, number, label)?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*secret), data);
        Ok(tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes"))
    }

    fn aead(&self, purpose: Purpose, number: u8, label: &str) -> Result<RandomizedNonceKey, OpenError> {
        let subkey = self.subkey(purpose, number, label)?;
        Ok(RandomizedNonceKey::new(&AES_256_GCM_SIV, &*subkey)
            .expect("a subkey has the 32 bytes that AES-256 wants"))
    }

    fn subkey(&self, purpose: Purpose, number: u8, label: &str) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        let secret = self.secrets.get(&(purpose, number)).ok_or(OpenError::UnknownKey(number))?;
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"device-grant/1").extract(&**secret);
        let mut subkey = Zeroizing::new([0; 32]);
        prk.expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *subkey))
            .expect("32 bytes are within HKDF's limit of 255 blocks");
        Ok(subkey)
    }
}

impl Purpose {
    /// Its name, as keyring files have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Durable => "durable",
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.load();
        let name = |(purpose, number): &(Purpose, u8)| {
            let active = if keys.active(*purpose).number == *number { "*" } else { "" };
            format!("{}{active}", keys.name(*purpose, *number))
        };
        f.debug_list().entries(keys.secrets.keys().map(name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8, purpose: Purpose, active: bool) -> KeyMaterial {
        KeyMaterial { number, purpose, active, activated_at: None, secret: Zeroizing::new([number; 32]) }
    }

    fn keyring(active_request: u8) -> Keyring {
        let requests = [1, 2].map(|number| key(number, Purpose::Request, number == active_request));
        Keyring::new(requests.into_iter().chain([key(9, Purpose::Durable, true)])).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_use_only() {
        let keyring = keyring(1);
        let sealed = keyring.seal(Purpose::Request, "cookie", b"a", b"hello");
        assert_eq!(keyring.open(Purpose::Request, "cookie", b"a", &sealed).unwrap(), b"hello");
        assert_eq!(keyring.open(Purpose::Request, "other", b"a", &sealed), Err(OpenError::Broken));
        assert_eq!(keyring.open(Purpose::Request, "cookie", b"b", &sealed), Err(OpenError::Broken));
        assert_eq!(keyring.open(Purpose::Durable, "cookie", b"a", &sealed), Err(OpenError::UnknownKey(1)));
        for at in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(keyring.open(Purpose::Request, "cookie", b"a", &changed), Err(OpenError::Broken));
        }
        for len in 0..sealed.len() {
            assert!(keyring.open(Purpose::Request, "cookie", b"a", &sealed[..len]).is_err());
        }
    }

    #[test]
    fn a_newer_active_key_still_opens_and_finds_what_the_older_made() {
        let sealed = keyring(1).seal(Purpose::Request, "cookie", b"", b"x");
        assert_eq!(keyring(2).open(Purpose::Request, "cookie", b"", &sealed).unwrap(), b"x");
        let before = keyring(1).macs("user_code", b"WDJBMJHT");
        let after = keyring(2).macs("user_code", b"WDJBMJHT");
        assert_eq!((before[0], before[1]), (after[1], after[0]));
    }

    #[test]
    fn a_keyring_needs_one_active_key_of_each_purpose() {
        let none = Keyring::new([key(1, Purpose::Request, true)]);
        assert_eq!(none.err(), Some(KeyringError::NotOneActive(Purpose::Durable)));
        let twice = [key(1, Purpose::Request, true), key(1, Purpose::Request, false)];
        assert_eq!(Keyring::new(twice).err(), Some(KeyringError::Repeated(1)));
    }

    proptest! {
        /// What was not sealed here does not open, whatever it is; what was opens unchanged, and not with a bit flipped.
        #[test]
        fn only_what_was_sealed_here_opens(bytes in proptest::collection::vec(any::<u8>(), 0..80), at: prop::sample::Index, bit in 0u8..8) {
            let keyring = keyring(1);
            let open = |sealed: &[u8]| keyring.open(Purpose::Request, "cookie", b"", sealed);
            prop_assert!(open(&bytes).is_err());
            prop_assert!(open(&[&[1], bytes.as_slice()].concat()).is_err());
            let mut sealed = keyring.seal(Purpose::Request, "cookie", b"", &bytes);
            prop_assert_eq!(open(&sealed).unwrap(), bytes);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&sealed).is_err());
        }
    }
}
