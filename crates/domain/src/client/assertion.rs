//! Client authentication by a signed JWT: `private_key_jwt` (RFC 7523, OpenID Connect Core section 9).

use std::sync::Arc;
use std::time::Duration;

use device_grant_protocol::{CLIENT_ASSERTION_TYPE_JWT_BEARER, ClientId};
use serde_json::Value;

use super::auth::{Assertion, AuthError, Credentials};
use super::{ClientAuth, DeviceClient, KeySource};
use crate::ids::OnceKey;
use crate::jws::{Claims, Jws, NotSigned, Refused, Rules, SigningAlgorithm};
use crate::service::DeviceGrant;
use crate::time::Timestamp;

/// What every assertion keeps to, whosever it is. A `typ` of another use is refused (RFC 8725 section 3.11); keys that a
/// header brings along are never looked at (CA-15).
const RULES: Rules<'_> = Rules {
    longest: 8 * 1024,
    types: &["jwt", "client-authentication+jwt"],
    untyped: true,
    algorithms: &SigningAlgorithm::ALL,
};

/// How a client signs its assertions.
#[derive(Clone, Debug)]
pub struct PrivateKeyJwt {
    /// Its public keys.
    pub keys: KeySource,
    /// What it may sign with.
    pub algorithms: Vec<SigningAlgorithm>,
    /// To whom its assertions are addressed.
    pub audience: Audience,
}

/// To whom an assertion must be addressed (RFC 7523 section 3, and what its revision makes of it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Our issuer identifier and nothing beside it: nobody else can have been meant.
    Issuer,
    /// The URL of an endpoint of ours is good as well, for clients that know no better.
    Endpoint,
}

/// What the claims must agree with.
struct Expected<'a> {
    client: &'a ClientId,
    /// Every name of ours that is good.
    audience: &'a [String],
    now: Timestamp,
    leeway: Duration,
    life: Duration,
}

/// Why an assertion is not taken.
enum Trouble {
    Refused(Refused),
    /// Nobody can say now; why, for the log.
    Undecided(String),
}

impl DeviceGrant {
    /// The client that signed `assertion`. Whatever is wrong with it, the sender hears the same.
    pub(super) async fn by_assertion(
        &self,
        credentials: &Credentials<'_>,
        assertion: &Assertion<'_>,
    ) -> Result<Arc<DeviceClient>, AuthError> {
        self.signer(credentials, assertion).await.map_err(|trouble| match trouble {
            Trouble::Refused(reason) => {
                tracing::debug!(%reason, "a client assertion was refused");
                AuthError::Failed
            }
            Trouble::Undecided(reason) => {
                tracing::warn!(%reason, "a client assertion cannot be decided");
                AuthError::Undecided
            }
        })
    }

    /// What costs little comes first, then the signature, then the claims, and last the one write.
    async fn signer(
        &self,
        credentials: &Credentials<'_>,
        assertion: &Assertion<'_>,
    ) -> Result<Arc<DeviceClient>, Trouble> {
        if assertion.kind != CLIENT_ASSERTION_TYPE_JWT_BEARER {
            return Err(Refused("its client_assertion_type is not the one for a JWT").into());
        }
        let jws = Jws::read(assertion.text, &RULES)?;
        let unverified = jws.unverified()?;
        let id = unverified.text("sub").ok_or(Refused("it has no sub"))?;
        if credentials.client_id.is_some_and(|named| named != id) {
            return Err(Refused("its sub is not the client_id beside it").into());
        }
        let named =
            self.named(id).map_err(|_| Trouble::Undecided("the clients are not known yet".to_owned()))?;
        let client = named.ok_or(Refused("there is no such client"))?;
        let ClientAuth::PrivateKeyJwt(method) = &client.auth else {
            return Err(Refused("the client does not authenticate in this way").into());
        };
        if !method.algorithms.contains(&jws.algorithm()) {
            return Err(Refused("the client may not sign with this algorithm").into());
        }
        let claims = self.verified(&jws, &method.keys).await?;
        let expected = Expected {
            client: &client.id,
            audience: &self.audience(method.audience, credentials.endpoint),
            now: self.now(),
            leeway: self.settings.leeway,
            life: self.settings.assertion_life,
        };
        let (once, ends_at) = judge(&claims, &expected)?;
        // Replicas whose clocks are apart must not forget what another of them would still take.
        match self.store.spend(&once, ends_at + self.settings.clock_skew).await {
            Ok(true) => Ok(client),
            Ok(false) => Err(Refused("it was used before").into()),
            Err(unavailable) => Err(Trouble::Undecided(unavailable.to_string())),
        }
    }

    /// The claims, if a key of the client signed them. A key that is not known is looked for once (CA-15).
    async fn verified(&self, jws: &Jws<'_>, source: &KeySource) -> Result<Claims, Trouble> {
        let unknown = Refused("it is signed with a key that the client does not have");
        let uri = match source {
            KeySource::Registered(keys) => {
                return jws.verify(keys).map_err(|not| refused(not, unknown).into());
            }
            KeySource::At(uri) => uri,
        };
        let mut seen = None;
        loop {
            let keys = self.client_keys.keys(uri, seen.as_ref()).await;
            let keys = keys.map_err(|unavailable| Trouble::Undecided(unavailable.to_string()))?;
            let keys = keys.ok_or(unknown)?;
            match jws.verify(&keys) {
                Err(NotSigned::UnknownKey) if seen.is_none() => seen = Some(keys),
                outcome => return outcome.map_err(|not| refused(not, unknown).into()),
            }
        }
    }

    /// The names that an assertion at `endpoint` may be addressed to.
    fn audience(&self, audience: Audience, endpoint: &str) -> Vec<String> {
        let issuer = self.settings.issuer();
        match audience {
            Audience::Issuer => vec![issuer],
            Audience::Endpoint => {
                let urls = ["/token", endpoint].map(|path| self.settings.at(path).into());
                [issuer].into_iter().chain(urls).collect()
            }
        }
    }
}

/// What the assertion is remembered as, and until when it is good.
fn judge(claims: &Claims, expected: &Expected<'_>) -> Result<(OnceKey, Timestamp), Refused> {
    let latest = expected.now + expected.leeway;
    // OpenID Connect Core section 9: the client speaks of itself, in both claims.
    for name in ["iss", "sub"] {
        if claims.text(name) != Some(expected.client.as_str()) {
            return Err(Refused("its iss and sub are not both the client_id"));
        }
    }
    if !is_for_us(claims.get("aud"), expected.audience) {
        return Err(Refused("its aud is not ours alone"));
    }
    let exp = claims.time("exp").ok_or(Refused("its exp is missing or no time"))?;
    let ends_at = exp + expected.leeway;
    if expected.now >= ends_at {
        return Err(Refused("it has expired by this machine's clock"));
    }
    if exp > latest + expected.life {
        return Err(Refused("its exp lies too far ahead"));
    }
    if !claims.has_come("nbf", latest) || !claims.has_come("iat", latest) {
        return Err(Refused("its nbf or iat lies ahead of this machine's clock"));
    }
    let jti = claims.text("jti").ok_or(Refused("it has no jti"))?;
    Ok((OnceKey::assertion(expected.client, jti), ends_at))
}

/// Whether every name in `aud` is ours, and there is no more of them than good ones. Compared byte for byte (HI-12).
fn is_for_us(aud: Option<&Value>, ours: &[String]) -> bool {
    let is_ours = |name: &Value| name.as_str().is_some_and(|name| ours.iter().any(|own| own == name));
    match aud {
        Some(Value::Array(names)) => (1..=ours.len()).contains(&names.len()) && names.iter().all(is_ours),
        Some(name) => is_ours(name),
        None => false,
    }
}

fn refused(not: NotSigned, unknown: Refused) -> Refused {
    match not {
        NotSigned::UnknownKey => unknown,
        NotSigned::Refused(reason) => reason,
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    const NOW: u64 = 1_767_225_600;
    const ISSUER: &str = "https://login.example.com";
    const TOKEN: &str = "https://login.example.com/token";

    fn judged(change: &Value, audience: &[&str]) -> Result<(OnceKey, Timestamp), Refused> {
        let mut claims = json!({ "iss": "tv", "sub": "tv", "aud": ISSUER, "exp": NOW + 300, "jti": "1" });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let Value::Object(claims) = claims else { unreachable!("it was written as an object") };
        let claims: Map<_, _> = claims.into_iter().filter(|(_, value)| !value.is_null()).collect();
        let audience: Vec<String> = audience.iter().map(|name| (*name).to_owned()).collect();
        let expected = Expected {
            client: &"tv".parse().unwrap(),
            audience: &audience,
            now: Timestamp::from_secs(NOW),
            leeway: Duration::from_mins(1),
            life: Duration::from_mins(10),
        };
        judge(&claims.into(), &expected)
    }

    /// CA-11: our issuer and nobody else, byte for byte; an endpoint only where that was allowed.
    #[test]
    fn the_audience_is_ours_alone() {
        let accepted = |aud: Value, ours: &[&str]| judged(&json!({ "aud": aud }), ours).is_ok();
        for (aud, strict, lenient) in [
            (json!(ISSUER), true, true),
            (json!([ISSUER]), true, true),
            (json!(TOKEN), false, true),
            (json!([TOKEN]), false, true),
            (json!([ISSUER, TOKEN]), false, true),
            (json!([ISSUER, ISSUER]), false, true),
            (json!([ISSUER, "https://other.example"]), false, false),
            (json!([TOKEN, 7]), false, false),
            (json!("https://login.example.com/"), false, false),
            (json!("https://LOGIN.example.com"), false, false),
            (json!("https://other.example"), false, false),
            (json!([]), false, false),
            (json!([[ISSUER]]), false, false),
            (json!(7), false, false),
            (Value::Null, false, false),
        ] {
            assert_eq!(accepted(aud.clone(), &[ISSUER]), strict, "{aud}");
            assert_eq!(accepted(aud.clone(), &[ISSUER, TOKEN]), lenient, "{aud}");
        }
    }

    /// CA-12: to the second: what is past, what is ahead, and what is no time.
    #[test]
    fn times_are_judged_with_the_leeway() {
        for (change, good) in [
            (json!({ "exp": NOW - 30 }), true),
            (json!({ "exp": NOW - 59 }), true),
            (json!({ "exp": NOW - 60 }), false),
            (json!({ "exp": NOW + 660 }), true),
            (json!({ "exp": NOW + 661 }), false),
            (json!({ "exp": NOW + 10 * 365 * 86_400 }), false),
            (json!({ "exp": null }), false),
            (json!({ "exp": "1767225900" }), false),
            (json!({ "exp": -1 }), false),
            (json!({ "nbf": NOW + 60 }), true),
            (json!({ "nbf": NOW + 61 }), false),
            (json!({ "nbf": "soon" }), false),
            (json!({ "iat": NOW + 60, "nbf": NOW - 600 }), true),
            (json!({ "iat": NOW + 61 }), false),
        ] {
            assert_eq!(judged(&change, &[ISSUER]).is_ok(), good, "{change}");
        }
    }

    /// CA-13: an assertion is remembered by client and id until it cannot be used any more.
    #[test]
    fn an_assertion_is_remembered_until_it_is_of_no_use() {
        let (once, ends_at) = judged(&json!({}), &[ISSUER]).unwrap();
        assert_eq!(ends_at, Timestamp::from_secs(NOW + 360));
        let long = judged(&json!({ "jti": "j".repeat(5000) }), &[ISSUER]).unwrap().0;
        assert_ne!(once, long);
        assert!(long.as_str().len() < 60, "{long}");
        assert_ne!(once, OnceKey::assertion(&"t".parse().unwrap(), "v1"));
        for jti in [json!(null), json!(""), json!(7)] {
            assert!(judged(&json!({ "jti": jti }), &[ISSUER]).is_err(), "{jti}");
        }
    }

    proptest! {
        /// CA-11, CA-12: whatever stands in a claim, judging does not panic, and nobody else is let in by it.
        #[test]
        fn no_claim_lets_another_in(name in "(iss|sub|aud|exp|nbf|iat|jti)", text in "\\PC{0,20}", number: f64) {
            for value in [json!(text), json!(number), json!([text, number]), json!({ "a": text })] {
                let good = judged(&json!({ name.as_str(): value }), &[ISSUER]);
                let is_whose = ["iss", "sub", "aud"].contains(&name.as_str());
                prop_assert!(!is_whose || good.is_err(), "{} {}", name, value);
            }
        }
    }
}
