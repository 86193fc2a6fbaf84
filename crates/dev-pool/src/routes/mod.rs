//! The one place where paths become handlers.

mod authorize;
mod callback;
mod client_auth;
mod discovery;
mod error;
mod logout;
mod revoke;
mod session_cookie;
mod sign_in;
mod token;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::config::Ways;
use crate::faults::Endpoint;
use crate::intake::intake;
use crate::pool::DevPool;

/// What Cognito has at the root of a pool's domain.
fn domain() -> Router<DevPool> {
    Router::new()
        .route(discovery::COGNITO_AUTHORIZE, get(authorize::get))
        .route(discovery::COGNITO_SIGN_IN, post(sign_in::post))
        .route(discovery::COGNITO_TOKEN, post(token::post))
        .route(discovery::COGNITO_REVOKE, post(revoke::post))
        .route(discovery::COGNITO_LOGOUT, get(logout::get))
}

pub(crate) fn router(pool: &DevPool) -> Router {
    let endpoints = Router::new()
        .route(Endpoint::Discovery.path(), get(discovery::configuration))
        .route(Endpoint::Jwks.path(), get(discovery::jwks))
        .route(Endpoint::Authorize.path(), get(authorize::get))
        .route(authorize::FEDERATION, get(authorize::federation))
        .route(Endpoint::SignIn.path(), post(sign_in::post))
        .route(Endpoint::Token.path(), post(token::post))
        .route(Endpoint::Revoke.path(), post(revoke::post))
        .route(Endpoint::Logout.path(), get(logout::get).post(logout::post));
    let below = pool.config().issuer.path().trim_end_matches('/');
    let placed = if below.is_empty() { endpoints } else { Router::new().nest(below, endpoints) };
    let placed = if pool.config().ways == Ways::Cognito { placed.merge(domain()) } else { placed };
    placed.layer(from_fn_with_state(pool.clone(), intake)).with_state(pool.clone())
}
