//! The pool's discovery document (OpenID Connect Discovery section 3, RFC 8414), read and judged.

use device_grant_domain::jws::SigningAlgorithm;
use device_grant_domain::pool::{PoolFacts, PoolProblem};
use serde::Deserialize;
use url::Url;

use crate::config::{Manner, OidcPoolConfig, has_credentials, is_loopback};

/// A discovery document that was accepted.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) revocation_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    /// What ID tokens may be signed with: allowed by the configuration and by the pool.
    pub(crate) algorithms: Vec<SigningAlgorithm>,
    /// It names itself in every authorization response (RFC 9207 section 3).
    pub(crate) names_itself: bool,
    pairwise_only: bool,
}

/// The members that matter here; unknown ones are ignored.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    jwks_uri: Option<String>,
    revocation_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    subject_types_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl Document {
    /// Cognito has its endpoints at the same paths of every domain of a pool; its discovery names one domain, or none.
    fn take_endpoints_of(&mut self, domain: &Url) {
        let at = |path: &str| {
            let mut endpoint = domain.clone();
            endpoint.set_path(path);
            Some(endpoint.into())
        };
        self.authorization_endpoint = at("/oauth2/authorize");
        self.token_endpoint = at("/oauth2/token");
        self.revocation_endpoint = at("/oauth2/revoke");
        self.end_session_endpoint = at("/logout");
    }
}

impl Provider {
    /// Judges the document `body`.
    pub(crate) fn accept(body: &[u8], config: &OidcPoolConfig) -> Result<Self, PoolProblem> {
        let mut document: Document = serde_json::from_slice(body).map_err(|error| {
            // The category and the place only: the full words may quote the document.
            let (line, kind) = (error.line(), error.classify());
            problem(&format!("it is no usable JSON ({kind:?} error in line {line})"))
        })?;
        if document.issuer != config.issuer {
            let named: String = document.issuer.chars().take(200).collect();
            return Err(problem(&format!(
                "its issuer is {named:?}, and the configured one is {:?}; they must be equal character for character",
                config.issuer
            )));
        }
        if let Manner::Cognito { domain: Some(domain) } = &config.manner {
            document.take_endpoints_of(domain);
        }
        let methods = document.code_challenge_methods_supported;
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(problem(
                "it lists PKCE methods, and S256 is not among them; enable S256 at the pool",
            ));
        }
        let subjects = document.subject_types_supported.unwrap_or_default();
        let required = |name, value: Option<String>| {
            let value = value.ok_or_else(|| problem(&format!("it has no {name}")))?;
            endpoint(name, &value, config)
        };
        let optional =
            |name, value: Option<String>| value.map(|value| endpoint(name, &value, config)).transpose();
        Ok(Self {
            authorization_endpoint: required("authorization_endpoint", document.authorization_endpoint)?,
            token_endpoint: required("token_endpoint", document.token_endpoint)?,
            jwks_uri: required("jwks_uri", document.jwks_uri)?,
            revocation_endpoint: optional("revocation_endpoint", document.revocation_endpoint)?,
            end_session_endpoint: optional("end_session_endpoint", document.end_session_endpoint)?,
            algorithms: algorithms(document.id_token_signing_alg_values_supported, config)?,
            names_itself: document.authorization_response_iss_parameter_supported == Some(true),
            pairwise_only: !subjects.is_empty() && subjects.iter().all(|subject| subject == "pairwise"),
        })
    }

    pub(crate) fn facts(&self) -> PoolFacts {
        PoolFacts { revokes: self.revocation_endpoint.is_some(), pairwise_only: self.pairwise_only }
    }
}

fn problem(what: &str) -> PoolProblem {
    PoolProblem(format!("the pool's discovery document is refused: {what}"))
}

/// An endpoint is spoken to as the issuer is: https, or plain http on the loopback (UP-04).
fn endpoint(name: &str, value: &str, config: &OidcPoolConfig) -> Result<Url, PoolProblem> {
    let url = Url::parse(value).map_err(|_| problem(&format!("its {name} is no URL")))?;
    let safe = if config.is_plain_http() {
        url.scheme() == "http" && is_loopback(&url)
    } else {
        url.scheme() == "https"
    };
    if !safe {
        return Err(problem(&format!("its {name} is not an https URL")));
    }
    if url.fragment().is_some() || has_credentials(&url) {
        return Err(problem(&format!("its {name} has a fragment or credentials")));
    }
    Ok(url)
}

fn algorithms(
    listed: Option<Vec<String>>,
    config: &OidcPoolConfig,
) -> Result<Vec<SigningAlgorithm>, PoolProblem> {
    let Some(listed) = listed else {
        return Ok(config.algorithms.clone());
    };
    let listed: Vec<SigningAlgorithm> = listed.iter().filter_map(|name| name.parse().ok()).collect();
    let both: Vec<_> = config.algorithms.iter().copied().filter(|own| listed.contains(own)).collect();
    if both.is_empty() {
        let own: Vec<_> = config.algorithms.iter().map(|own| own.as_str()).collect();
        return Err(problem(&format!(
            "it signs ID tokens with none of the allowed algorithms ({})",
            own.join(", ")
        )));
    }
    Ok(both)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://pool.example/realm";

    fn judged_with(
        change: &Value,
        configure: impl FnOnce(&mut OidcPoolConfig),
    ) -> Result<Provider, PoolProblem> {
        let mut config = OidcPoolConfig::new(ISSUER);
        configure(&mut config);
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "https://pool.example/token",
            "jwks_uri": "https://pool.example/jwks",
        });
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        Provider::accept(document.to_string().as_bytes(), &config)
    }

    fn judged(change: &Value) -> Result<Provider, PoolProblem> {
        judged_with(change, |_| {})
    }

    /// UP-09, UP-07: the smallest document is enough; unknown members do not matter.
    #[test]
    fn a_document_with_the_bare_endpoints_is_enough() {
        let provider = judged(&json!({ "new": { "member": [] }, "revocation_endpoint": null })).unwrap();
        let facts = PoolFacts { revokes: false, pairwise_only: false };
        assert_eq!(provider.facts(), facts);
        assert_eq!(provider.algorithms, SigningAlgorithm::ALL);
        assert!(!provider.names_itself && provider.end_session_endpoint.is_none());
    }

    /// UP-01: another issuer, another path or a slash more is another pool, and the words show both.
    #[test]
    fn the_issuer_is_compared_character_for_character() {
        for other in [
            "https://pool.example/realm/",
            "https://pool.example/Realm",
            "https://pool.example:443/realm",
            "https://evil.example/realm",
        ] {
            let refused = judged(&json!({ "issuer": other })).unwrap_err().0;
            assert!(refused.contains(other) && refused.contains(ISSUER), "{refused}");
        }
    }

    /// UP-09: only a list without S256 is a reason to stop.
    #[test]
    fn only_a_list_without_s256_stops() {
        let methods = |list: Value| judged(&json!({ "code_challenge_methods_supported": list }));
        assert!(methods(json!(["plain", "S256"])).is_ok());
        assert!(methods(Value::Null).is_ok());
        for list in [json!(["plain"]), json!([])] {
            assert!(methods(list).unwrap_err().0.contains("S256"));
        }
    }

    /// UP-04: no endpoint over plain http, with credentials or with a fragment.
    #[test]
    fn unsafe_endpoints_are_refused() {
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "revocation_endpoint",
            "end_session_endpoint",
        ] {
            for bad in [
                "http://pool.example/x",
                "http://127.0.0.1/x",
                "file:///etc/passwd",
                "https://a:b@pool.example/x",
                "https://pool.example/x#y",
                "/x",
                "",
            ] {
                let refused = judged(&json!({ name: bad })).unwrap_err().0;
                assert!(refused.contains(name), "{name} {bad}: {refused}");
            }
        }
        let local = json!({
            "issuer": "http://127.0.0.1:1",
            "authorization_endpoint": "http://127.0.0.1:1/a",
            "token_endpoint": "http://10.0.0.1/t",
        });
        let development = |config: &mut OidcPoolConfig| {
            config.issuer = "http://127.0.0.1:1".into();
            config.allow_http = true;
        };
        let refused = judged_with(&local, development).unwrap_err().0;
        assert!(refused.contains("token_endpoint"), "{refused}");
    }

    #[test]
    fn missing_endpoints_and_wrong_types_are_refused() {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(judged(&json!({ name: null })).unwrap_err().0.contains(name));
        }
        assert!(judged(&json!({ "token_endpoint": 7 })).is_err());
        let secret =
            judged(&json!({ "authorization_response_iss_parameter_supported": "marker" })).unwrap_err();
        assert!(!secret.0.contains("marker"), "{secret}");
    }

    /// IT-05: discovery narrows the allowed algorithms and never widens them.
    #[test]
    fn algorithms_are_those_that_both_sides_allow() {
        let listed = |list: Value| {
            judged_with(&json!({ "id_token_signing_alg_values_supported": list }), |config| {
                config.algorithms = vec![SigningAlgorithm::Rs256, SigningAlgorithm::Es256];
            })
        };
        let both = listed(json!(["none", "HS256", "ES256", "ES384"])).unwrap();
        assert_eq!(both.algorithms, [SigningAlgorithm::Es256]);
        assert!(listed(json!(["none", "HS256"])).unwrap_err().0.contains("RS256, ES256"));
    }

    #[test]
    fn a_pool_with_pairwise_subjects_only_says_so() {
        let pairwise =
            |list: Value| judged(&json!({ "subject_types_supported": list })).unwrap().facts().pairwise_only;
        assert!(pairwise(json!(["pairwise"])));
        assert!(!pairwise(json!(["public", "pairwise"])));
        assert!(!pairwise(json!([])));
    }

    proptest! {
        /// UP-04, UP-07: whatever stands for an endpoint, none that is taken is unsafe; and no bytes make the reader panic.
        #[test]
        fn no_accepted_endpoint_is_unsafe(scheme in "(https?|ftp|HTTPS)?:?/{0,3}", rest in "[a-z0-9.:@/?#\\[\\] %]{0,20}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Provider::accept(&bytes, &OidcPoolConfig::new(ISSUER));
            if let Ok(provider) = judged(&json!({ "token_endpoint": format!("{scheme}{rest}") })) {
                let url = provider.token_endpoint;
                prop_assert!(url.scheme() == "https" && url.has_host() && url.fragment().is_none(), "{}", url);
                prop_assert!(url.username().is_empty() && url.password().is_none(), "{}", url);
            }
        }
    }
}
