//! `/.well-known/openid-configuration` (OpenID Connect Discovery §4) and `/jwks`.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::config::Ways;
use crate::faults::Endpoint;
use crate::pool::DevPool;

pub(super) const COGNITO_AUTHORIZE: &str = "/oauth2/authorize";
pub(super) const COGNITO_SIGN_IN: &str = "/oauth2/sign-in";
pub(super) const COGNITO_TOKEN: &str = "/oauth2/token";
pub(super) const COGNITO_REVOKE: &str = "/oauth2/revoke";
pub(super) const COGNITO_LOGOUT: &str = "/logout";

pub(super) async fn configuration(State(pool): State<DevPool>) -> Json<Value> {
    let mut document = document(&pool);
    if pool.config().ways == Ways::Cognito {
        cognito(&pool, &mut document);
    }
    pool.faults().behaviour().discovery.apply(&mut document);
    Json(Value::Object(document))
}

pub(super) async fn jwks(State(pool): State<DevPool>) -> Json<Value> {
    Json(pool.keys().jwks())
}

/// What Cognito says otherwise, or not at all.
fn cognito(pool: &DevPool, document: &mut Map<String, Value>) {
    for untold in [
        "code_challenge_methods_supported",
        "prompt_values_supported",
        "grant_types_supported",
        "revocation_endpoint_auth_methods_supported",
        "authorization_response_iss_parameter_supported",
    ] {
        document.remove(untold);
    }
    let mut domain = pool.config().issuer.clone();
    for (name, path) in [
        ("authorization_endpoint", COGNITO_AUTHORIZE),
        ("token_endpoint", COGNITO_TOKEN),
        ("revocation_endpoint", COGNITO_REVOKE),
        ("end_session_endpoint", COGNITO_LOGOUT),
    ] {
        domain.set_path(path);
        document.insert(name.to_owned(), domain.as_str().into());
    }
    document.insert("scopes_supported".to_owned(), json!(["openid", "email", "phone", "profile"]));
}

fn document(pool: &DevPool) -> Map<String, Value> {
    let config = pool.config();
    let authentication = ["client_secret_basic", "client_secret_post", "none"];
    let mut subjects = Vec::new();
    if config.clients.iter().any(|client| !client.pairwise) || config.clients.is_empty() {
        subjects.push("public");
    }
    if config.clients.iter().any(|client| client.pairwise) {
        subjects.push("pairwise");
    }
    let document = json!({
        "issuer": pool.issuer(),
        "authorization_endpoint": pool.url(Endpoint::Authorize.path()),
        "token_endpoint": pool.url(Endpoint::Token.path()),
        "revocation_endpoint": pool.url(Endpoint::Revoke.path()),
        "end_session_endpoint": pool.url(Endpoint::Logout.path()),
        "jwks_uri": pool.url(Endpoint::Jwks.path()),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "select_account"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": ["sub", "name", "email", "preferred_username", "auth_time", "acr"],
        "subject_types_supported": subjects,
        "id_token_signing_alg_values_supported": [config.signing.name()],
        "token_endpoint_auth_methods_supported": authentication,
        "revocation_endpoint_auth_methods_supported": authentication,
        "authorization_response_iss_parameter_supported": config.issuer_on_callback,
    });
    match document {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
