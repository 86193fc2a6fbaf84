//! The parsers of what the pool sends, for the fuzz targets. Not part of any product build.

use device_grant_domain::Timestamp;
use device_grant_domain::jws::{KeySet, SigningAlgorithm};
use device_grant_protocol::{AccessToken, Nonce, TokenResponse};
use reqwest::StatusCode;
use url::Url;

use crate::config::OidcPoolConfig;
use crate::http::Answer;
use crate::id_token::{self, Expected, Signed};
use crate::metadata::Provider;
use crate::token;

/// The endpoints of a discovery document, if `config` accepts it.
pub fn discovery(body: &[u8], config: &OidcPoolConfig) -> Option<Vec<Url>> {
    let provider = Provider::accept(body, config).ok()?;
    let optional = [provider.revocation_endpoint, provider.end_session_endpoint];
    let required = [provider.authorization_endpoint, provider.token_endpoint, provider.jwks_uri];
    Some(required.into_iter().chain(optional.into_iter().flatten()).collect())
}

/// The token response in an answer, or words on what is wrong with it.
pub fn token_answer(status: StatusCode, body: &[u8]) -> Result<TokenResponse, String> {
    let answer = Answer { status, is_json: true, body: body.to_vec() };
    let members = token::members(Ok(answer)).map_err(|trouble| format!("{trouble:?}"))?;
    token::response(&members).map_err(str::to_owned)
}

/// Whether an ID token is taken from `issuer` for `client_id` at `now`, on the trip of `nonce`.
pub fn takes_id_token(
    text: &str,
    keys: &KeySet,
    (issuer, client_id, nonce): (&str, &str, &Nonce),
    now: Timestamp,
) -> bool {
    let leeway = OidcPoolConfig::new(issuer).leeway;
    let access_token = AccessToken::new("access");
    let expected = Expected {
        issuer,
        client_id,
        nonce: Some(nonce),
        code: None,
        access_token: &access_token,
        now,
        leeway,
    };
    let Ok(token) = id_token::read(text, &SigningAlgorithm::ALL) else { return false };
    Signed::verify(&token, keys).is_ok_and(|signed| signed.judge(&expected).is_ok())
}
