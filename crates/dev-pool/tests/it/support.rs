//! A pool with a fixed clock, and what a client does with it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool, Person};
use device_grant_testkit::{FixedClock, SeededEntropy};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::byte_serialize;

pub(crate) const CALLBACK: &str = "http://client.test/callback";
/// Every character that form-encoding changes, and one it does not.
pub(crate) const SECRET: &str = "s+e/c:r%t t";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct Bench {
    pub(crate) served: LoopbackPool,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) http: reqwest::Client,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut DevPoolConfig)) -> Self {
        let clock = Arc::new(FixedClock::default());
        let configure = |issuer| {
            let mut tv = DevClient::confidential("tv", SECRET, CALLBACK);
            tv.post_logout_redirect_uris = vec!["http://client.test/bye".to_owned()];
            let app = DevClient::public("app", CALLBACK);
            let mut config = DevPoolConfig { clients: vec![tv, app], ..DevPoolConfig::new(issuer) };
            change(&mut config);
            config
        };
        let entropy = Arc::new(SeededEntropy::new(7));
        let served = LoopbackPool::spawn_with(configure, clock.clone(), entropy).await.unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { served, clock, http }
    }

    pub(crate) fn alice(&self) -> Person {
        Person::new(self.served.pool(), "alice", "alice")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.served.issuer())
    }

    pub(crate) fn authorize_url(&self, client_id: &str, more: &[(&str, &str)]) -> Url {
        let mut url = Url::parse(&self.url("/authorize")).unwrap();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("scope", "openid profile")
            .append_pair("state", "st & te")
            .append_pair("nonce", "n-1")
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(more);
        url
    }

    /// A code for Alice.
    pub(crate) async fn code(&self, client_id: &str) -> String {
        let callback = self.alice().visit(&self.authorize_url(client_id, &[])).await.unwrap();
        query_value(&callback, "code").unwrap()
    }

    /// A request to the token or revocation endpoint, authenticated as `client_id` is.
    pub(crate) fn post(&self, path: &str, client_id: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let mut form = form.to_vec();
        let request = self.http.post(self.url(path));
        if client_id == "tv" {
            let secret: String = byte_serialize(SECRET.as_bytes()).collect();
            return request.basic_auth(client_id, Some(secret)).form(&form);
        }
        form.push(("client_id", client_id));
        request.form(&form)
    }

    pub(crate) async fn exchange(&self, client_id: &str, code: &str) -> Response {
        self.exchange_with(client_id, code, VERIFIER).await
    }

    pub(crate) async fn exchange_with(&self, client_id: &str, code: &str, verifier: &str) -> Response {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.post("/token", client_id, &form).send().await.unwrap()
    }

    /// The token response of a whole code flow of Alice's.
    pub(crate) async fn tokens(&self, client_id: &str) -> Value {
        let code = self.code(client_id).await;
        let response = self.exchange(client_id, &code).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    pub(crate) async fn refresh(&self, client_id: &str, refresh_token: &str) -> Response {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.post("/token", client_id, &form).send().await.unwrap()
    }

    pub(crate) async fn metadata(&self) -> Value {
        let url = self.url("/.well-known/openid-configuration");
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) fn is_live(&self, token: &Value) -> bool {
        self.served.pool().is_live(token.as_str().unwrap())
    }
}

pub(crate) fn query_value(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|pair| pair.0 == name).map(|pair| pair.1.into_owned())
}

/// Status and `error` of an OAuth error.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["error"].as_str().unwrap_or_default().to_owned())
}

/// A part of a JWS, unverified: 0 is the header, 1 the claims.
pub(crate) fn jws_part(token: &Value, part: usize) -> Value {
    let encoded = token.as_str().unwrap().split('.').nth(part).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}
