//! `/authorize` (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{callback, session_cookie};
use crate::config::Ways;
use crate::ledger::{CodeTerms, Grant, Session};
use crate::pages::SignInNotice;
use crate::params::Params;
use crate::pool::DevPool;

/// Where a federating pool answers in place of `/authorize`.
pub(super) const FEDERATION: &str = "/federation";

pub(super) async fn get(
    State(pool): State<DevPool>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    match &pool.config().further_hop {
        Some(base) => {
            let base = base.as_str().trim_end_matches('/');
            callback::see_other(&format!("{base}{FEDERATION}?{query}"))
        }
        None => answer(&pool, &query, &headers),
    }
}

pub(super) async fn federation(
    State(pool): State<DevPool>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&pool, &query.unwrap_or_default(), &headers)
}

fn answer(pool: &DevPool, query: &str, headers: &HeaderMap) -> Response {
    let request = match AuthorizationRequest::parse(pool, query) {
        Ok(request) => request,
        Err(refused) => return refused.respond(pool),
    };
    let session = session_cookie::read(headers).and_then(|id| pool.ledger().session(id, pool.now()));
    match session.filter(|session| request.is_satisfied_with(session, pool)) {
        Some(session) => request.approve(pool, &session),
        None if request.prompts("none") => request.refuse(pool, "login_required"),
        None => pool.pages().sign_in(pool, &request.client_id, query, "", SignInNotice::None),
    }
}

/// A valid authorization request.
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    scope: Vec<String>,
    code_challenge: String,
    prompt: Vec<String>,
    max_age: Option<Duration>,
    acr_values: Vec<String>,
}

/// An authorization request that is not valid.
pub(super) enum Refused {
    /// Nobody knows whether the `redirect_uri` can be trusted: the person is told (RFC 6749 §4.1.2.1).
    OnPage(&'static str),
    /// The client is told.
    ToClient { redirect_uri: String, state: Option<String>, error: &'static str, description: &'static str },
}

impl Refused {
    pub(super) fn respond(self, pool: &DevPool) -> Response {
        match self {
            Self::OnPage(text) => {
                pool.pages().message(StatusCode::BAD_REQUEST, "This sign-in request is not valid", text)
            }
            Self::ToClient { redirect_uri, state, error, description } => {
                let params = [("error", error), ("error_description", description)];
                callback::redirect(pool, &redirect_uri, state.as_deref(), &params)
            }
        }
    }
}

impl AuthorizationRequest {
    pub(super) fn parse(pool: &DevPool, query: &str) -> Result<Self, Refused> {
        let params =
            Params::parse_once(query.as_bytes()).map_err(|_| Refused::OnPage("A parameter came twice."))?;
        let owned = |name| params.value(name).map(str::to_owned);
        let client = params.value("client_id").and_then(|id| pool.client(id));
        let client = client.ok_or(Refused::OnPage("The client is not known."))?;
        let redirect_uri = owned("redirect_uri").filter(|uri| client.redirect_uris.contains(uri));
        let redirect_uri =
            redirect_uri.ok_or(Refused::OnPage("The redirect_uri is not registered for this client."))?;

        let state = owned("state");
        let refuse = |error, description| {
            Err(Refused::ToClient {
                redirect_uri: redirect_uri.clone(),
                state: state.clone(),
                error,
                description,
            })
        };
        match params.value("response_type") {
            Some("code") => {}
            None => return refuse("invalid_request", "response_type is missing"),
            Some(_) => return refuse("unsupported_response_type", "only code"),
        }
        let challenge = owned("code_challenge").filter(|challenge| is_s256_challenge(challenge));
        let Some(code_challenge) = challenge else {
            return refuse("invalid_request", "code_challenge is missing or malformed");
        };
        if params.value("code_challenge_method") != Some("S256") {
            return refuse("invalid_request", "code_challenge_method must be S256");
        }
        let scope = words(params.value("scope"));
        if pool.config().ways == Ways::Cognito && scope.iter().any(|scope| scope == "offline_access") {
            return refuse("invalid_scope", "there is no such scope");
        }
        Ok(Self {
            client_id: client.client_id.clone(),
            nonce: owned("nonce"),
            scope,
            code_challenge,
            prompt: words(params.value("prompt")),
            max_age: params.value("max_age").and_then(|age| age.parse().ok()).map(Duration::from_secs),
            acr_values: words(params.value("acr_values")),
            state,
            redirect_uri,
        })
    }

    /// A code for the person of `session`, sent to the client.
    pub(super) fn approve(&self, pool: &DevPool, session: &Session) -> Response {
        let (code, now) = (pool.random_token(), pool.now());
        let grant = Grant::new(&self.client_id, session, self.scope.clone(), self.nonce.as_deref());
        let grant = grant.with_acr(self.acr_values.first().cloned());
        let terms = CodeTerms {
            redirect_uri: self.redirect_uri.clone(),
            code_challenge: self.code_challenge.clone(),
            expires_at: now + pool.config().code_lifetime,
        };
        pool.ledger().add_code(code.clone(), grant, terms, now);
        callback::redirect(pool, &self.redirect_uri, self.state.as_deref(), &[("code", &code)])
    }

    /// An error, sent to the client.
    pub(super) fn refuse(&self, pool: &DevPool, error: &str) -> Response {
        callback::redirect(pool, &self.redirect_uri, self.state.as_deref(), &[("error", error)])
    }

    fn prompts(&self, value: &str) -> bool {
        self.prompt.iter().any(|prompt| prompt == value)
    }

    /// Whether the person need not sign in again.
    fn is_satisfied_with(&self, session: &Session, pool: &DevPool) -> bool {
        let asked_again = self.prompts("login") || self.prompts("select_account");
        let too_old = self.max_age.is_some_and(|age| pool.now().since(session.auth_time) > age);
        !asked_again && !too_old && pool.user(&session.username).is_some()
    }
}

/// A SHA-256 in base64url without padding.
fn is_s256_challenge(challenge: &str) -> bool {
    challenge.len() == 43
        && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn words(list: Option<&str>) -> Vec<String> {
    list.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
