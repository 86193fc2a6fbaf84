//! A load balancer that signs people in, as far as the headers it sends: it signs as AWS does, and serves its public key.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The `SubjectPublicKeyInfo` of a P-256 key, up to its point (RFC 5480 section 2).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A balancer, and the place of its keys on the loopback.
pub struct TestBalancer {
    /// Its ARN.
    pub signer: String,
    /// Where its keys are.
    pub key_url: String,
    key: EcdsaKeyPair,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    looks: AtomicU32,
    broken: AtomicBool,
    paths: Mutex<Vec<String>>,
}

impl TestBalancer {
    /// The id of the one key that it has.
    pub const KEY_ID: &str = "01234567-89ab-cdef-0123-456789abcdef";
    /// The client it signs people in with.
    pub const CLIENT: &str = "balancer-client";

    /// Begins to serve the key.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn spawn() -> io::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(io::Error::other)?;
        let info = [&P256[..], key.public_key().as_ref()].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            BASE64_STANDARD.encode(info)
        );
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let key_url = format!("http://{}/keys", listener.local_addr()?);
        let seen = Arc::<Seen>::default();
        let served = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away is no matter.
                let _ = serve(stream, &pem, &served).await;
            }
        });
        let signer =
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/tv/0123456789abcdef"
                .to_owned();
        Ok(Self { signer, key_url, key, seen })
    }

    /// The header of an honest balancer at the second `now`.
    pub fn header(&self, issuer: &str, now: u64) -> Value {
        json!({
            "typ": "JWT", "alg": "ES256", "kid": Self::KEY_ID, "iss": issuer,
            "client": Self::CLIENT, "signer": self.signer, "exp": now + 120,
        })
    }

    /// The value of `x-amzn-oidc-data`: three parts in base64url, each with its padding.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature =
            self.key.sign(&SystemRandom::new(), message.as_bytes()).expect("a fresh key signs anything");
        format!("{message}.{}", BASE64_URL_SAFE.encode(signature))
    }

    /// How often a key was asked for.
    pub fn looks(&self) -> u32 {
        self.seen.looks.load(Ordering::SeqCst)
    }

    /// The paths that were asked for.
    pub fn paths(&self) -> Vec<String> {
        self.seen.paths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the place of the keys answers 503 from now on.
    pub fn break_keys(&self, broken: bool) {
        self.seen.broken.store(broken, Ordering::SeqCst);
    }
}

async fn serve(mut stream: TcpStream, pem: &str, seen: &Seen) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.looks.fetch_add(1, Ordering::SeqCst);
    let (status, body) = if seen.broken.load(Ordering::SeqCst) {
        ("503 Service Unavailable", "")
    } else if path == format!("/keys/{}", TestBalancer::KEY_ID) {
        ("200 OK", pem)
    } else {
        ("404 Not Found", "")
    };
    seen.paths.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
