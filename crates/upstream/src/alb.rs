//! People whom an AWS Application Load Balancer has signed in: the `x-amzn-oidc-data` header.
//!
//! It looks like a JWT and is one, but for the padding of its parts. Its keys are shared by all balancers of a region, whoever
//! owns them, so a good signature alone says nothing: the signer must be our balancer.

mod keys;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::Engine as _;
use device_grant_domain::balancer::{BalancerError, BalancerSignIn};
use device_grant_domain::jws::Claims;
use device_grant_domain::pool::Account;
use device_grant_domain::{Clock, Entropy, Timestamp, strict_json};
use jsonwebtoken::{Algorithm, crypto};
use url::Url;

use crate::account::account;
use crate::config::ConfigError;
use crate::id_token::IdToken;
use keys::Keys;

/// AWS limits all headers of a request to less.
const LONGEST: usize = 32 * 1024;
const PADDED: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an [`Alb`] is told.
#[derive(Clone, Debug)]
pub struct AlbConfig {
    /// The ARN of the balancer.
    pub signer: String,
    /// The client at the pool that it signs people in with.
    pub client_id: String,
    /// The issuer that it names.
    pub issuer: String,
    /// Below this, at its id, each key is to be had.
    pub key_url: Url,
    /// The claim that names a person, as for the pool itself.
    pub account_claim: String,
    /// How far the balancer's clock may be from ours.
    pub leeway: Duration,
}

/// One load balancer that signs people in.
pub struct Alb {
    config: AlbConfig,
    clock: Arc<dyn Clock>,
    keys: Keys,
}

impl Alb {
    /// The balancer that `config` describes. Nothing is sent yet.
    ///
    /// # Errors
    /// When the machine has no certificates to trust.
    pub fn new(
        config: AlbConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let keys = Keys::new(config.key_url.clone(), Arc::clone(&clock), entropy)?;
        Ok(Self { config, clock, keys })
    }

    /// Whether the place of the keys answers, by the status of its answer. Which key it should have is known only once the
    /// balancer has signed something.
    ///
    /// # Errors
    /// When nothing answers there; the words are for an operator.
    pub async fn place_of_keys(&self) -> Result<u16, String> {
        self.keys.place_answers().await
    }

    /// The id of the key, if the header speaks of our balancer, our client and the present. Nothing of it is to be believed
    /// yet, but what does not fit need not be looked at further.
    fn key_id<'h>(&self, header: &'h Claims) -> Result<&'h str, &'static str> {
        let text = |name| header.text(name);
        let config = &self.config;
        for (name, expected, refusal) in [
            ("alg", "ES256", "its algorithm is not ES256"),
            ("signer", &config.signer, "its signer is not the configured load balancer"),
            ("client", &config.client_id, "its client is not alb.client_id"),
            ("iss", &config.issuer, "its iss is not the configured issuer"),
        ] {
            if text(name) != Some(expected) {
                return Err(refusal);
            }
        }
        if header.get("crit").is_some() {
            return Err("its header has a crit member, and no extension is known here");
        }
        let expires = time(header, "exp").ok_or("its exp is missing or no time")?;
        if self.clock.now() >= expires + config.leeway {
            return Err("it has expired by this machine's clock");
        }
        text("kid").filter(|kid| is_key_id(kid)).ok_or("its kid is no key id")
    }
}

#[async_trait]
impl BalancerSignIn for Alb {
    async fn account(&self, data: &str, identity: Option<&str>) -> Result<Account, BalancerError> {
        let refused = BalancerError::Refused;
        let malformed = refused("it is no signed JWT in compact form");
        if data.len() > LONGEST {
            return Err(refused("it is too long"));
        }
        let mut parts = data.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let header = part(header).ok_or(malformed.clone())?;
        let key = self.keys.find(self.key_id(&header).map_err(refused)?).await?;
        // What was signed are the bytes as they came, with their padding.
        let message = &data.as_bytes()[..data.len() - signature.len() - 1];
        let signature = signature.trim_end_matches('=');
        if !crypto::verify(signature, message, &key, Algorithm::ES256).unwrap_or(false) {
            return Err(refused("its signature is wrong"));
        }
        let claims = IdToken::of(part(claims).ok_or(refused("its claims are no plain JSON object"))?);
        let subject = claims.text("sub").ok_or(refused("it has no sub"))?;
        if identity.is_some_and(|identity| identity != subject) {
            return Err(refused("x-amzn-oidc-identity names somebody else"));
        }
        account(&claims, &self.config.account_claim)
            .map_err(|_| refused("it has no usable text in the claim that upstream.account_claim names"))
    }
}

impl fmt::Debug for Alb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alb").field("signer", &self.config.signer).finish_non_exhaustive()
    }
}

fn part(encoded: &str) -> Option<Claims> {
    strict_json::object(&PADDED.decode(encoded).ok()?).map(Claims::from)
}

/// AWS writes a number; its documentation leaves a text open.
fn time(header: &Claims, name: &str) -> Option<Timestamp> {
    let seconds = || header.text(name)?.parse().ok().map(Timestamp::from_secs);
    header.time(name).or_else(seconds)
}

/// A UUID: it becomes a part of a URL, so nothing else will do.
fn is_key_id(kid: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    kid.len() == 36
        && kid
            .bytes()
            .enumerate()
            .all(|(at, byte)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The id of a key becomes a part of a URL: nothing that leads elsewhere is one.
        #[test]
        fn only_a_uuid_is_a_key_id(text in "\\PC{36}", uuid in "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", odd in "[^0-9a-fA-F-]", at in 0usize..36) {
            prop_assert!(is_key_id(&uuid));
            prop_assert!(!is_key_id(&text) || text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
            let other: String = uuid.chars().enumerate().flat_map(|(own, c)| if own == at { odd.chars().collect() } else { vec![c] }).collect();
            prop_assert!(!is_key_id(&other), "{}", other);
        }

        /// Whatever stands in a part of the header, nothing panics; padded or not it says the same.
        #[test]
        fn padding_changes_nothing(text in "\\PC{0,40}", member in "\\PC{0,20}") {
            let _ = part(&text);
            let json = serde_json::json!({ "exp": member, "a": text }).to_string();
            let padded = base64::prelude::BASE64_URL_SAFE.encode(json);
            let (one, other) = (part(&padded).unwrap(), part(padded.trim_end_matches('=')).unwrap());
            prop_assert_eq!(one.get("a"), other.get("a"));
            prop_assert_eq!(time(&one, "exp"), member.parse().ok().map(Timestamp::from_secs));
        }
    }
}
