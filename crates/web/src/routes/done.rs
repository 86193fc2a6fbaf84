//! `/device/done`: what became of the decision, on a clean URL (CB-14).

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use device_grant_domain::Outcome;

use super::device::to;
use crate::cookies::{Cookies, Kind};
use crate::person::Done;
use crate::state::AppState;

pub(crate) async fn get(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let cookies = Cookies::new(state.cookies, &state.service, &headers);
    let Some(done) = cookies.open::<Done>(Kind::Done) else {
        return to("/device");
    };
    let outcome = match (done.outcome, &done.attempt) {
        // Only what was not settled when the cookie was made can have changed since.
        (Outcome::Pending, Some(attempt)) => state.service.outcome(attempt, &done.request).await,
        (settled, _) => settled,
    };
    let account = done.account.as_ref().filter(|_| outcome == Outcome::Approved);
    state.pages.outcome(outcome, done.client_name.as_deref(), account)
}
