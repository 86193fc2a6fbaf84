//! `/device`: the person enters a code, confirms, authorizes or denies.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use device_grant_domain::request::DeviceRequest;
use device_grant_domain::{AttemptId, DepartureError, Entry, Outcome};
use device_grant_protocol::Params;

use crate::cookies::{Cookies, Kind};
use crate::extract::{Network, PersonForm, PersonQuery};
use crate::pages::{Confirmation, Notice, Problem};
use crate::person::{Done, Go, Kept, Shown, Visitor};
use crate::state::AppState;

/// What is kept of what somebody typed or linked to.
const MAX_TYPED: usize = 128;

pub(crate) async fn welcome(State(state): State<AppState>) -> Response {
    state.pages.welcome()
}

/// The code field. A code in the URL only fills it in, by way of a clean URL (UI-02, UI-03).
pub(crate) async fn get(
    State(state): State<AppState>,
    headers: HeaderMap,
    PersonQuery(query): PersonQuery,
) -> Response {
    let mut cookies = Cookies::new(state.cookies, &state.service, &headers);
    let linked = query.value("user_code").or_else(|| query.value("code"));
    if let Some(code) = linked {
        cookies.seal(Kind::Kept, &Kept { typed: shorten(code), prefilled: true, fresh: false });
        return cookies.apply(to("/device"));
    }
    let Some(visitor) = Visitor::of(&state.service, &mut cookies) else {
        return sign_in(&state, cookies).await;
    };
    let kept: Kept = cookies.open(Kind::Kept).unwrap_or_default();
    enter(&state, cookies, &visitor, (&kept.typed, kept.prefilled), None)
}

/// A step of the form: look a code up, authorize, or deny.
pub(crate) async fn post(
    State(state): State<AppState>,
    network: Network,
    headers: HeaderMap,
    PersonForm(form): PersonForm,
) -> Response {
    let mut cookies = Cookies::new(state.cookies, &state.service, &headers);
    let typed = shorten(form.value("user_code").unwrap_or_default());
    let Some(visitor) = Visitor::of(&state.service, &mut cookies) else {
        if !typed.is_empty() {
            cookies.seal(Kind::Kept, &Kept { typed, ..Kept::default() });
        }
        return cookies.apply(to("/device"));
    };
    if !visitor.is_csrf(&state.service, form.value("csrf")) {
        return state.pages.problem(Problem::Forged);
    }
    match form.value("intent") {
        Some("lookup") => look_up(&state, cookies, &visitor, &network, &typed).await,
        Some("authorize") => authorize(&state, cookies, &visitor, &form).await,
        Some("deny") => deny(&state, cookies, &visitor, &form).await,
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

/// "Not you?": ends our session and the pool's.
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    headers: HeaderMap,
    PersonForm(form): PersonForm,
) -> Response {
    let mut cookies = Cookies::new(state.cookies, &state.service, &headers);
    let Some(visitor) = Visitor::of(&state.service, &mut cookies) else {
        return to("/device");
    };
    if !visitor.is_csrf(&state.service, form.value("csrf")) {
        return state.pages.problem(Problem::Forged);
    }
    let kept: Kept = cookies.open(Kind::Kept).unwrap_or_default();
    cookies.remove(Kind::Session);
    cookies.remove(Kind::Page);
    cookies.remove(Kind::Done);
    cookies.seal(Kind::Kept, &Kept { fresh: true, ..kept });
    let (service, back) = (&state.service, state.service.settings.verification_uri());
    match service.pool.end_session_url(&service.settings.service_client, &back).await {
        Some(url) => {
            cookies.seal(Kind::Go, &Go { url: url.into(), signing_out: true });
            cookies.apply(to("/device/go"))
        }
        None => cookies.apply(to("/device")),
    }
}

/// A redirect that turns every method into GET (RFC 9700 section 4.12).
pub(crate) fn to(path: &'static str) -> Response {
    let mut response = Redirect::to(path).into_response();
    let no_store = axum::http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(axum::http::header::CACHE_CONTROL, no_store);
    response
}

async fn sign_in(state: &AppState, mut cookies: Cookies<'_>) -> Response {
    let kept: Kept = cookies.open(Kind::Kept).unwrap_or_default();
    let user_code = state.service.settings.user_code.read(&kept.typed);
    match state.service.depart_to_sign_in(user_code, kept.fresh).await {
        Ok((trip, url)) => {
            cookies.keep_trip(&trip);
            cookies.apply(state.pages.go(url.as_str(), false))
        }
        Err(problem) => {
            tracing::warn!(%problem, "nobody can sign in");
            state.pages.problem(Problem::Unavailable)
        }
    }
}

async fn look_up(
    state: &AppState,
    mut cookies: Cookies<'_>,
    visitor: &Visitor,
    network: &Network,
    typed: &str,
) -> Response {
    let notice = match state.service.enter(&visitor.guesser(network), typed).await {
        Ok(Entry::Found { request, user_code }) => {
            cookies.seal(Kind::Kept, &Kept { typed: typed.to_owned(), ..Kept::default() });
            let shown = Shown { request: request.id.clone(), user_code };
            return confirm(state, cookies, visitor, &request, &shown);
        }
        Ok(Entry::NoMatch) => Notice::NoMatch,
        Ok(Entry::TooMany) => Notice::TooMany,
        Err(problem) => {
            tracing::warn!(error = %problem, "a user code cannot be looked up");
            Notice::TryAgain
        }
    };
    enter(state, cookies, visitor, (typed, false), Some(notice))
}

fn enter(
    state: &AppState,
    cookies: Cookies<'_>,
    visitor: &Visitor,
    field: (&str, bool),
    notice: Option<Notice>,
) -> Response {
    let csrf = visitor.csrf(&state.service);
    let format = &state.service.settings.user_code;
    cookies.apply(state.pages.enter((&visitor.session.account, &csrf), format, field, notice))
}

fn confirm(
    state: &AppState,
    cookies: Cookies<'_>,
    visitor: &Visitor,
    request: &DeviceRequest,
    shown: &Shown,
) -> Response {
    let service = &state.service;
    let origin = service.origin(request).unwrap_or_default();
    let client = service.clients.find(&request.client_id);
    let page = Confirmation {
        client_name: client.map_or(request.client_id.as_str(), |client| &client.name),
        user_code: &service.settings.user_code.display(&shown.user_code),
        scope: &request.scope,
        requested: service.clock.now().since(request.created_at),
        network: Some(origin.network.as_str()).filter(|network| !network.is_empty()),
        device: origin.device.as_deref(),
        account: &visitor.session.account,
        csrf: &visitor.csrf(service),
        confirm: &visitor.confirm_token(service, shown),
    };
    cookies.apply(state.pages.confirm(&page))
}

async fn authorize(state: &AppState, mut cookies: Cookies<'_>, visitor: &Visitor, form: &Params) -> Response {
    let (service, account) = (&state.service, &visitor.session.account);
    let Some(shown) = form.value("confirm").and_then(|token| visitor.confirmed(service, token)) else {
        return state.pages.problem(Problem::Forged);
    };
    let request = match service.still_open(&shown.request).await {
        Ok(Some(request)) => request,
        Ok(None) => return state.pages.outcome(closed(state, &cookies, &shown).await, None, None),
        Err(_) => return state.pages.problem(Problem::Unavailable),
    };
    match service.depart_for_grant(&request, shown.user_code, account).await {
        Ok((trip, url)) => {
            cookies.keep_trip(&trip);
            cookies.seal(Kind::Go, &Go { url: url.into(), signing_out: false });
            cookies.apply(to("/device/go"))
        }
        Err(DepartureError::Refused(_)) => state.pages.outcome(Outcome::Expired, None, None),
        Err(DepartureError::Pool(problem)) => {
            tracing::warn!(%problem, "an approval cannot go on");
            state.pages.problem(Problem::Unavailable)
        }
    }
}

async fn deny(state: &AppState, mut cookies: Cookies<'_>, visitor: &Visitor, form: &Params) -> Response {
    let service = &state.service;
    let Some(shown) = form.value("confirm").and_then(|token| visitor.confirmed(service, token)) else {
        return state.pages.problem(Problem::Forged);
    };
    let outcome = match service.deny(&shown.request).await {
        Outcome::Taken => closed(state, &cookies, &shown).await,
        outcome => outcome,
    };
    let done = Done {
        request: shown.request,
        attempt: None,
        outcome,
        client_name: None,
        account: visitor.session.account.clone(),
    };
    cookies.remove(Kind::Kept);
    cookies.seal(Kind::Done, &done);
    cookies.apply(to("/device/done"))
}

/// What became of a request that was shown and is not open any more (UI-09). A browser that went on the trip itself hears
/// of its own trip.
async fn closed(state: &AppState, cookies: &Cookies<'_>, shown: &Shown) -> Outcome {
    let attempt = cookies.attempt_for(&shown.request).unwrap_or_else(|| AttemptId::from_stored(""));
    state.service.outcome(&attempt, &shown.request).await
}

fn shorten(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_control()).take(MAX_TYPED).collect()
}
