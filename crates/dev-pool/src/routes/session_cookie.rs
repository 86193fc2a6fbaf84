//! The cookie of a browser that is signed in at the pool.

use axum::http::{HeaderMap, header};

/// Cookies ignore ports, so the name must not be that of any service beside the pool.
const NAME: &str = "dev_pool_session";

/// The session id the browser sent.
pub(super) fn read(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// `Set-Cookie` for a session id.
pub(super) fn set(id: &str) -> String {
    format!("{NAME}={id}; Path=/; HttpOnly; SameSite=Lax")
}

/// `Set-Cookie` that removes it.
pub(super) fn remove() -> String {
    format!("{NAME}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}
