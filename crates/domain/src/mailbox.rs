//! The sealed mailbox of a request: what waits for the device, readable by the device's code alone.
//!
//! HPKE (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305 in PSK mode. The key pair comes
//! from the device code, of which the store holds a hash only; the pre-shared key comes from the keyring, of which
//! the store holds nothing. So a stolen table opens nothing, not even together with the keys.

use std::convert::Infallible;

use device_grant_protocol::DeviceCode;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable};
use serde::{Deserialize, Serialize};

use crate::entropy::{Entropy, bytes};
use crate::ids::{RequestId, labelled_hash};
use crate::keyring::{Keyring, OpenError, Purpose};

type Kex = X25519HkdfSha256;

const ENCAPPED_LEN: usize = 32;
const INFO: &[u8] = b"device-grant mailbox 1";

/// The public half of a mailbox: anybody with it and the keyring can put something in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxKey([u8; 32]);

/// What lies in a mailbox: bound to its request and to the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The pool's authorization code and its verifier, from the claim to the exchange.
    Claim,
    /// The token set, from the approval to the hand-over.
    Tokens,
}

impl MailboxKey {
    /// The mailbox of the device that holds `device_code`.
    pub fn of(device_code: &DeviceCode) -> Self {
        let (_, public) = key_pair(device_code);
        Self(public.to_bytes().into())
    }

    /// The key as it is stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Puts `plaintext` in.
    ///
    /// # Errors
    /// [`OpenError::Broken`] when the stored key is no X25519 public key.
    pub fn seal(
        &self,
        keyring: &Keyring,
        entropy: &dyn Entropy,
        (request, slot): (&RequestId, Slot),
        plaintext: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let number = keyring.active(Purpose::Request);
        let psk = keyring.mailbox_psk(number)?;
        let psk_id = [number];
        let public = <Kex as Kem>::PublicKey::from_bytes(&self.0).map_err(|_| OpenError::Broken)?;
        let mode = OpModeS::Psk(psk_bundle(&*psk, &psk_id)?);
        let (encapped, mut context) = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, Kex>(
            &mode,
            &public,
            INFO,
            &mut Source(entropy),
        )
        .map_err(|_| OpenError::Broken)?;
        let ciphertext = context.seal(plaintext, &aad(request, slot)).map_err(|_| OpenError::Broken)?;
        Ok([&[number][..], &encapped.to_bytes(), &ciphertext].concat())
    }
}

/// Takes out what [`MailboxKey::seal`] put in. Needs the device's code and the keyring.
pub fn open(
    device_code: &DeviceCode,
    keyring: &Keyring,
    (request, slot): (&RequestId, Slot),
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let (&number, rest) = sealed.split_first().ok_or(OpenError::Broken)?;
    let (encapped, ciphertext) = rest.split_at_checked(ENCAPPED_LEN).ok_or(OpenError::Broken)?;
    let psk = keyring.mailbox_psk(number)?;
    let encapped = <Kex as Kem>::EncappedKey::from_bytes(encapped).map_err(|_| OpenError::Broken)?;
    let (private, _) = key_pair(device_code);
    let number = [number];
    let mode = OpModeR::Psk(psk_bundle(&*psk, &number)?);
    hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kex>(&mode, &private, &encapped, INFO)
        .and_then(|mut context| context.open(ciphertext, &aad(request, slot)))
        .map_err(|_| OpenError::Broken)
}

fn key_pair(device_code: &DeviceCode) -> (<Kex as Kem>::PrivateKey, <Kex as Kem>::PublicKey) {
    // The label keeps this apart from the hash under which the request is stored.
    let material = labelled_hash("device-grant/mailbox/1", device_code.expose());
    <Kex as Kem>::derive_keypair(material.as_ref())
}

fn psk_bundle<'a>(psk: &'a [u8], id: &'a [u8]) -> Result<PskBundle<'a>, OpenError> {
    PskBundle::new(psk, id).map_err(|_| OpenError::Broken)
}

fn aad(request: &RequestId, slot: Slot) -> Vec<u8> {
    let slot: &[u8] = match slot {
        Slot::Claim => b"claim",
        Slot::Tokens => b"tokens",
    };
    [slot, b"\0", request.as_str().as_bytes()].concat()
}

/// The entropy port as the HPKE crate wants to see it.
struct Source<'a>(&'a dyn Entropy);

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(bytes(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(bytes(self.0)))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}

#[cfg(test)]
mod tests;
