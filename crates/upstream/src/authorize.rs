//! Addresses at the pool that a browser is sent to: authorization (OpenID Connect Core section 3.1.2.1) and sign-out
//! (OpenID Connect RP-Initiated Logout section 2).

use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::policy::FreshPrompt;
use device_grant_domain::pool::{AuthorizeTrip, PoolClient};
use device_grant_protocol::PkceVerifier;
use url::Url;

/// Parameters that configuration may not add: they would carry a second request, or bring the answer elsewhere than in
/// the query of the callback (RFC 9101 section 5, OAuth 2.0 Multiple Response Type Encoding Practices section 2.1).
const NEVER_EXTRA: [&str; 3] = ["request", "request_uri", "response_mode"];

/// Where to send the browser for `trip`: each parameter once, the endpoint's own query kept.
pub(crate) fn authorization_url(endpoint: &Url, trip: &AuthorizeTrip<'_>, fresh: FreshPrompt) -> Url {
    let scope = if trip.scope.contains("openid") {
        trip.scope.to_string()
    } else {
        format!("openid {}", trip.scope).trim_end().to_owned()
    };
    let challenge = s256(trip.verifier);
    let ours = [
        ("response_type", "code"),
        ("client_id", trip.client.client_id.as_str()),
        ("redirect_uri", trip.redirect_uri.as_str()),
        ("scope", scope.as_str()),
        ("state", trip.state.expose()),
        ("nonce", trip.nonce.expose()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let step_up = trip.step_up.parameters(trip.anew.then_some(fresh));
    let step_up = step_up.iter().map(|(name, value)| (*name, value.as_str()));
    let mut url = with_params(endpoint, &ours.into_iter().chain(step_up).collect::<Vec<_>>());
    for (name, value) in trip.extra {
        let taken = url.query_pairs().any(|(known, _)| known == name.as_str());
        if !taken && !NEVER_EXTRA.contains(&name.as_str()) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}

/// Where to send the browser to sign out, and back to `return_to`, which this pool wants in `parameter`.
pub(crate) fn end_session_url(
    endpoint: &Url,
    client: &PoolClient,
    (parameter, return_to): (&str, &Url),
) -> Url {
    let ours = [("client_id", client.client_id.as_str()), (parameter, return_to.as_str())];
    with_params(endpoint, &ours)
}

/// `endpoint` with `ours` behind the parameters it has itself. One of its own that has a name of ours gives way:
/// a repeated parameter makes the request invalid (RFC 6749 section 3.1).
fn with_params(endpoint: &Url, ours: &[(&str, &str)]) -> Url {
    let is_ours = |name: &str| ours.iter().any(|(own, _)| *own == name);
    let mut url = endpoint.clone();
    if endpoint.query_pairs().any(|(name, _)| is_ours(&name)) {
        let kept = endpoint.query_pairs().filter(|(name, _)| !is_ours(name));
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
    url.query_pairs_mut().extend_pairs(ours);
    url
}

/// The S256 challenge of RFC 7636 section 4.2.
fn s256(verifier: &PkceVerifier) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use device_grant_domain::policy::{Prompt, StepUp};
    use device_grant_protocol::{AuthMethod, Nonce, Scope, State};

    use super::*;

    fn client() -> PoolClient {
        PoolClient { client_id: "tv & co".into(), secret: None, auth_method: AuthMethod::None }
    }

    fn query(endpoint: &str, scope: &str, extra: &[(&str, &str)]) -> Vec<(String, String)> {
        query_with(&StepUp::default(), endpoint, scope, extra)
    }

    fn query_with(
        step_up: &StepUp,
        endpoint: &str,
        scope: &str,
        extra: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let own = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        let extra: Vec<_> = extra.iter().map(own).collect();
        let url = authorization_url(
            &Url::parse(endpoint).unwrap(),
            &AuthorizeTrip {
                client: &client(),
                redirect_uri: &Url::parse("https://dg.example/callback").unwrap(),
                scope: &scope.parse::<Scope>().unwrap(),
                state: &State::new("s#&="),
                nonce: &Nonce::new("n"),
                // RFC 7636 appendix B.
                verifier: &PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                step_up,
                anew: false,
                extra: &extra,
            },
            FreshPrompt::Login,
        );
        assert_eq!(url.fragment(), None);
        url.query_pairs().into_owned().collect()
    }

    fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
        let mut values = pairs.iter().filter(|pair| pair.0 == name);
        let value = &values.next().unwrap().1;
        assert!(values.next().is_none(), "{name} comes twice");
        value
    }

    /// UP-10, CB-09: every parameter once, the challenge in place of the verifier, the endpoint's own query kept.
    #[test]
    fn each_parameter_stands_there_once() {
        let pairs = query("https://pool.example/a?tenant=1", "openid email", &[("prompt", "consent")]);
        for (name, expected) in [
            ("tenant", "1"),
            ("response_type", "code"),
            ("client_id", "tv & co"),
            ("redirect_uri", "https://dg.example/callback"),
            ("scope", "openid email"),
            ("state", "s#&="),
            ("nonce", "n"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
            ("prompt", "consent"),
        ] {
            assert_eq!(value(&pairs, name), expected);
        }
        assert_eq!(pairs.len(), 10);
    }

    /// UP-10: what a device puts into its scope stays in the scope.
    #[test]
    fn a_scope_cannot_become_a_parameter() {
        let pairs = query("https://pool.example/a", "openid&prompt=none#x", &[]);
        assert_eq!(value(&pairs, "scope"), "openid openid&prompt=none#x");
        assert!(!pairs.iter().any(|pair| pair.0 == "prompt"));
    }

    /// UP-10: `openid` is always asked for.
    #[test]
    fn openid_is_added_where_it_is_missing() {
        assert_eq!(value(&query("https://p.example/a", "", &[]), "scope"), "openid");
        assert_eq!(value(&query("https://p.example/a", "email", &[]), "scope"), "openid email");
        assert_eq!(value(&query("https://p.example/a", "email openid", &[]), "scope"), "email openid");
    }

    /// UP-10: neither the configuration's extra parameters nor the endpoint's own replace or repeat one of ours.
    #[test]
    fn nothing_overrides_our_parameters() {
        let extra = [
            ("state", "evil"),
            ("client_id", "evil"),
            ("request_uri", "https://evil.example"),
            ("response_mode", "fragment"),
            ("prompt", "login"),
            ("prompt", "none"),
            ("tenant", "2"),
        ];
        let pairs = query("https://p.example/a?tenant=1&scope=evil&nonce=evil", "openid", &extra);
        for (name, expected) in [
            ("state", "s#&="),
            ("client_id", "tv & co"),
            ("scope", "openid"),
            ("nonce", "n"),
            ("prompt", "login"),
            ("tenant", "1"),
        ] {
            assert_eq!(value(&pairs, name), expected);
        }
        assert_eq!(pairs.len(), 10);
    }

    /// SEC-14: what the client's policy asks for counts more than the configuration's and the endpoint's own parameters.
    #[test]
    fn a_step_up_overrides_what_others_ask_for() {
        let step_up = StepUp {
            prompt: Some(Prompt::Login),
            max_age: Some(Duration::from_mins(5)),
            acr_values: vec!["mfa".to_owned(), "gold".to_owned()],
        };
        let extra = [("prompt", "none"), ("max_age", "99999")];
        let pairs = query_with(&step_up, "https://p.example/a?acr_values=weak", "openid", &extra);
        for (name, expected) in [("prompt", "login"), ("max_age", "300"), ("acr_values", "mfa gold")] {
            assert_eq!(value(&pairs, name), expected);
        }
    }

    #[test]
    fn signing_out_comes_back() {
        let endpoint = Url::parse("https://p.example/logout?x=1").unwrap();
        let home = Url::parse("https://dg.example/device").unwrap();
        let url = end_session_url(&endpoint, &client(), ("post_logout_redirect_uri", &home));
        let expected = "https://p.example/logout?x=1&client_id=tv+%26+co&post_logout_redirect_uri=https%3A%2F%2Fdg.example%2Fdevice";
        assert_eq!(url.as_str(), expected);
    }
}
