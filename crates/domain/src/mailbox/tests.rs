use device_grant_protocol::DeviceCode;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;

use super::*;
use crate::entropy::SystemEntropy;
use crate::keyring::{KeyMaterial, Purpose};

fn keyring(fill: u8) -> Keyring {
    Keyring::new([Purpose::Request, Purpose::Durable].map(|purpose| KeyMaterial {
        number: 1,
        purpose,
        active: true,
        activated_at: None,
        secret: zeroize::Zeroizing::new([fill; 32]),
    }))
    .unwrap()
}

#[test]
fn only_the_device_code_with_the_keyring_opens_a_mailbox() {
    let (device, stranger) = (DeviceCode::new("a".repeat(64)), DeviceCode::new("b".repeat(64)));
    let id = RequestId::of(&device);
    let sealed =
        MailboxKey::of(&device).seal(&keyring(1), &SystemEntropy, (&id, Slot::Tokens), b"tokens").unwrap();

    assert_eq!(open(&device, &keyring(1), (&id, Slot::Tokens), &sealed).unwrap(), b"tokens");
    assert!(open(&stranger, &keyring(1), (&id, Slot::Tokens), &sealed).is_err());
    assert!(open(&device, &keyring(2), (&id, Slot::Tokens), &sealed).is_err());
    assert!(open(&device, &keyring(1), (&id, Slot::Claim), &sealed).is_err());
    assert!(open(&device, &keyring(1), (&RequestId::of(&stranger), Slot::Tokens), &sealed).is_err());
    for len in 0..sealed.len() {
        assert!(open(&device, &keyring(1), (&id, Slot::Tokens), &sealed[..len]).is_err());
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// RFC 9180 appendix A.2.2 and A.2.2.1: our suite in PSK mode, the first two messages.
#[test]
fn the_suite_agrees_with_the_vectors_of_rfc_9180() {
    let (private, public) = <Kex as Kem>::derive_keypair(&unhex(
        "26b923eade72941c8a85b09986cdfa3f1296852261adedc52d58d2930269812b",
    ));
    // The RFC prints the key as derived; the crate keeps it clamped, as section 7.1.2 wants it serialized.
    let mut expected = unhex("77d114e0212be51cb1d76fa99dd41cfd4d0166b08caa09074430a6c59ef17879");
    expected[0] &= 0b1111_1000;
    expected[31] = expected[31] & 0b0111_1111 | 0b0100_0000;
    assert_eq!(private.to_bytes().to_vec(), expected);
    assert_eq!(
        public.to_bytes().to_vec(),
        unhex("13640af826b722fc04feaa4de2f28fbd5ecc03623b317834e7ff4120dbe73062")
    );
    let encapped = unhex("2261299c3f40a9afc133b969a97f05e95be2c514e54f3de26cbe5644ac735b04");
    let psk = unhex("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82");
    let psk_id = unhex("456e6e796e20447572696e206172616e204d6f726961");
    let info = unhex("4f6465206f6e2061204772656369616e2055726e");
    let encapped = <Kex as Kem>::EncappedKey::from_bytes(&encapped).unwrap();
    let mode = OpModeR::Psk(PskBundle::new(&psk, &psk_id).unwrap());
    let mut receiver =
        hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kex>(&mode, &private, &encapped, &info).unwrap();
    let ciphertexts = [
        "4a177f9c0d6f15cfdf533fb65bf84aecdc6ab16b8b85b4cf65a370e07fc1d78d28fb073214525276f4a89608ff",
        "5c3cabae2f0b3e124d8d864c116fd8f20f3f56fda988c3573b40b09997fd6c769e77c8eda6cda4f947f5b704a8",
    ];
    for (count, ciphertext) in ciphertexts.iter().enumerate() {
        let plaintext = receiver.open(&unhex(ciphertext), format!("Count-{count}").as_bytes()).unwrap();
        assert_eq!(plaintext, b"Beauty is truth, truth beauty");
    }
}
