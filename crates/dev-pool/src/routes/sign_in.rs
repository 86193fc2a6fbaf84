//! `/sign-in`: the form of the sign-in page.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;

use super::authorize::AuthorizationRequest;
use super::session_cookie;
use crate::ledger::Session;
use crate::pages::SignInNotice;
use crate::params::Params;
use crate::pool::DevPool;

pub(super) async fn post(State(pool): State<DevPool>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Params::parse(&body);
    let query = form.value("request").unwrap_or_default();
    // The form came from the browser, so what it carries is checked again.
    let request = match AuthorizationRequest::parse(&pool, query) {
        Ok(request) => request,
        Err(refused) => return refused.respond(&pool),
    };
    if form.value("action") == Some("cancel") {
        return request.refuse(&pool, "access_denied");
    }
    let (username, password) =
        (form.value("username").unwrap_or_default(), form.value("password").unwrap_or_default());
    let matches = |known: &str| verify_slices_are_equal(known.as_bytes(), password.as_bytes()).is_ok();
    if !pool.user(username).is_some_and(|user| matches(&user.password)) {
        return pool.pages().sign_in(&pool, &request.client_id, query, username, SignInNotice::WrongPassword);
    }

    let now = pool.now();
    let session = Session {
        username: username.to_owned(),
        auth_time: now,
        expires_at: now + pool.config().session_lifetime,
    };
    let id = pool.random_token();
    if let Some(earlier) = session_cookie::read(&headers) {
        pool.ledger().end_session(earlier);
    }
    pool.ledger().add_session(id.clone(), session.clone());
    let mut response = request.approve(&pool, &session);
    if let Ok(cookie) = HeaderValue::try_from(session_cookie::set(&id)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
