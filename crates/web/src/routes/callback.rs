//! `/callback`: the browser comes back from the pool.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use device_grant_domain::pool::Account;
use device_grant_domain::{Network, Outcome, SignInError, Trip, TripPurpose};
use device_grant_protocol::AuthorizationCode;

use super::device::to;
use crate::config::SignIn;
use crate::cookies::{Cookies, Kind};
use crate::extract::{Browser, PersonQuery};
use crate::pages::Problem;
use crate::person::{Done, Kept, Session, Visitor};
use crate::state::AppState;

/// HEAD does nothing (CB-13): a link preview must not use the code up.
pub(crate) async fn head() -> StatusCode {
    StatusCode::OK
}

pub(crate) async fn get(
    State(state): State<AppState>,
    browser: Browser,
    PersonQuery(query): PersonQuery,
) -> Response {
    let cookies = Cookies::new(state.cookies, &state.service, &browser.headers);
    let trip = query.value("state").and_then(|given| cookies.trip(given));
    let Some(trip) = trip else {
        // Another replica may have sealed it with a key that this one lacks, and would open it.
        let lacking = state.service.missing_key().is_some();
        return state.pages.problem(if lacking { Problem::Unavailable } else { Problem::StrangeCallback });
    };
    match state.service.pool.is_from_pool(query.value("iss")).await {
        Ok(true) => {}
        Ok(false) => return state.pages.problem(Problem::WrongIssuer),
        Err(_) => return state.pages.problem(Problem::Unavailable),
    }
    match (query.value("code"), query.value("error")) {
        (Some(code), None) => {
            arrived(&state, (cookies, browser.sender.network), &trip, AuthorizationCode::new(code)).await
        }
        (None, Some(error)) => refused(&state, cookies, &trip, error).await,
        _ => state.pages.problem(Problem::BadRequest),
    }
}

async fn arrived(
    state: &AppState,
    (cookies, network): (Cookies<'_>, Network),
    trip: &Trip,
    code: AuthorizationCode,
) -> Response {
    match &trip.purpose {
        TripPurpose::SignIn => signed_in(state, (cookies, network), trip, &code).await,
        TripPurpose::Grant { .. } => {
            let (outcome, account) = state.service.finish_grant(trip, code, network).await;
            done(state, cookies, trip, (outcome, account)).await
        }
    }
}

async fn signed_in(
    state: &AppState,
    (mut cookies, network): (Cookies<'_>, Network),
    trip: &Trip,
    code: &AuthorizationCode,
) -> Response {
    match state.service.finish_sign_in(trip, code, network).await {
        Ok(account) => {
            let session = Session::new(&state.service, Some(account), state.config.sessions);
            Visitor::newly(&state.service, &mut cookies, session);
            if let Some(kept) = cookies.open::<Kept>(Kind::Kept) {
                cookies.seal(Kind::Kept, &Kept { fresh: false, ..kept });
            }
            cookies.apply(to("/device"))
        }
        // A reload: whoever is signed in sees the code page, everybody else signs in.
        Err(SignInError::Spent) => to("/device"),
        Err(SignInError::TooMany(wait)) => {
            let mut page = state.pages.problem(Problem::TooManySignIns);
            page.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
            page
        }
        Err(SignInError::Failed) => state.pages.problem(Problem::SignInFailed),
        Err(SignInError::Unavailable) => state.pages.problem(Problem::Unavailable),
    }
}

/// CB-06, CB-07: the person's own refusal on the grant's trip denies; every other error leaves the request open. The
/// pool's words are shown to nobody.
async fn refused(state: &AppState, cookies: Cookies<'_>, trip: &Trip, error: &str) -> Response {
    match (&trip.purpose, error) {
        (TripPurpose::SignIn, "access_denied") => state.pages.problem(Problem::SignInCancelled),
        (TripPurpose::SignIn, _) => state.pages.problem(Problem::SignInFailed),
        (TripPurpose::Grant { .. }, "access_denied") => {
            let outcome = state.service.refused_at_pool(trip).await;
            done(state, cookies, trip, (outcome, None)).await
        }
        (TripPurpose::Grant { .. }, _) => done(state, cookies, trip, (Outcome::TryAgain, None)).await,
    }
}

async fn done(
    state: &AppState,
    mut cookies: Cookies<'_>,
    trip: &Trip,
    (outcome, came_back): (Outcome, Option<Account>),
) -> Response {
    let TripPurpose::Grant { request, client_id, account, .. } = &trip.purpose else {
        return state.pages.problem(Problem::Internal);
    };
    // Where people sign in only on this trip, a reload has nothing but what the first callback wrote down.
    let before =
        || cookies.open::<Done>(Kind::Done).filter(|done| done.attempt.as_ref() == Some(&trip.attempt));
    let account = account.clone().or(came_back).or_else(|| before()?.account);
    // Only for its name.
    let client = state.service.client(client_id).await.ok().flatten();
    cookies.seal(
        Kind::Done,
        &Done {
            request: request.clone(),
            attempt: Some(trip.attempt.clone()),
            outcome,
            client_name: client.map(|client| client.name.clone()),
            account,
        },
    );
    match (&trip.user_code, outcome) {
        (Some(code), Outcome::TryAgain | Outcome::AccountDiffers | Outcome::TooWeak) => {
            let typed = state.service.settings.user_code.display(code);
            cookies.seal(
                Kind::Kept,
                &Kept { typed, fresh: outcome == Outcome::AccountDiffers, ..Kept::default() },
            );
        }
        _ => cookies.remove(Kind::Kept),
    }
    if outcome == Outcome::AccountDiffers {
        // Or the next try would silently end the same way: the person signs in anew, and chooses.
        cookies.remove(Kind::Session);
        cookies.remove(Kind::Page);
        if matches!(state.config.sign_in, SignIn::Balancer(_)) {
            cookies.remove_balancer_session();
        }
    }
    cookies.apply(to("/device/done"))
}
