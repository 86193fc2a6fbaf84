//! `/device`: the person enters a code, confirms, authorizes or denies.

mod decide;
mod look_up;
mod sign_in;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use device_grant_protocol::Params;

use crate::cookies::{Cookies, Kind};
use crate::extract::{Browser, PersonForm, PersonQuery};
use crate::pages::Problem;
use crate::person::{Go, Kept, Visitor};
use crate::state::AppState;
use crate::visit::{Absence, visitor};

pub(crate) use sign_in::sign_out;

/// What is kept of what somebody typed or linked to.
const MAX_TYPED: usize = 128;

/// A person's request to a page, once it is known who it is.
struct Visit<'a> {
    state: &'a AppState,
    browser: &'a Browser,
    cookies: Cookies<'a>,
    visitor: Visitor,
}

pub(crate) async fn welcome(State(state): State<AppState>) -> Response {
    state.pages.welcome()
}

/// The code field. A code in the URL only fills it in, by way of a clean URL (UI-02, UI-03).
pub(crate) async fn get(
    State(state): State<AppState>,
    browser: Browser,
    PersonQuery(query): PersonQuery,
) -> Response {
    let mut cookies = Cookies::new(state.cookies, &state.service, &browser.headers);
    let linked = query.value("user_code").or_else(|| query.value("code"));
    if let Some(code) = linked {
        cookies.seal(Kind::Kept, &Kept { typed: shorten(code), prefilled: true, ..Kept::default() });
        return cookies.apply(to("/device"));
    }
    match visitor(&state, &browser, &mut cookies).await {
        Ok(visitor) => {
            let kept: Kept = cookies.open(Kind::Kept).unwrap_or_default();
            let visit = Visit { state: &state, browser: &browser, cookies, visitor };
            visit.enter((&kept.typed, kept.prefilled), None)
        }
        Err(Absence::SignedOut) => sign_in::depart(&state, cookies).await,
        Err(Absence::NotByBalancer) => cookies.apply(state.pages.problem(Problem::SignInOver)),
        Err(Absence::Unavailable) => state.pages.problem(Problem::Unavailable),
    }
}

/// A step of the form: look a code up, authorize, or deny.
pub(crate) async fn post(
    State(state): State<AppState>,
    browser: Browser,
    PersonForm(form): PersonForm,
) -> Response {
    let mut cookies = Cookies::new(state.cookies, &state.service, &browser.headers);
    let visitor = match visitor(&state, &browser, &mut cookies).await {
        Ok(visitor) => visitor,
        Err(absence) => return away(&state, cookies, &form, absence),
    };
    if !visitor.is_csrf(&state.service, form.value("csrf")) {
        return state.pages.problem(Problem::Forged);
    }
    let visit = Visit { state: &state, browser: &browser, cookies, visitor };
    match form.value("intent") {
        Some("lookup") => visit.look_up(&form).await,
        Some("another") => visit.another(),
        Some("authorize") => visit.authorize(&form).await,
        Some("deny") => visit.deny(&form).await,
        _ => state.pages.problem(Problem::BadRequest),
    }
}

/// Sends the browser on to the pool, from a page of our own (UI-11).
pub(crate) async fn go(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let cookies = Cookies::new(state.cookies, &state.service, &headers);
    match cookies.open::<Go>(Kind::Go) {
        Some(Go { url, signing_out }) => state.pages.go(&url, signing_out),
        None => to("/device"),
    }
}

/// A redirect that turns every method into GET (RFC 9700 section 4.12).
pub(crate) fn to(path: &'static str) -> Response {
    let mut response = Redirect::to(path).into_response();
    let no_store = axum::http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(axum::http::header::CACHE_CONTROL, no_store);
    response
}

/// A form of somebody who is not signed in any more: what they typed is kept for afterwards.
fn away(state: &AppState, mut cookies: Cookies<'_>, form: &Params, absence: Absence) -> Response {
    let typed = shorten(form.value("user_code").unwrap_or_default());
    let kept: Kept = cookies.open(Kind::Kept).unwrap_or_default();
    // What a link brought stays what a link brought.
    if !typed.is_empty() && !is_linked(state, &kept, &typed) {
        cookies.seal(Kind::Kept, &Kept { typed, ..Kept::default() });
    }
    match absence {
        Absence::SignedOut => cookies.apply(to("/device")),
        Absence::NotByBalancer => cookies.apply(state.pages.problem(Problem::SignInOver)),
        Absence::Unavailable => cookies.apply(state.pages.problem(Problem::Unavailable)),
    }
}

/// Whether `typed` is the code that a link brought, or so much like it that a few characters that came beside the link made
/// it one.
fn is_linked(state: &AppState, kept: &Kept, typed: &str) -> bool {
    kept.prefilled && state.service.settings.user_code.comes_from(typed, &kept.typed)
}

fn shorten(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_control()).take(MAX_TYPED).collect()
}
