//! Signing in before the code, and signing out.

use axum::extract::State;
use axum::response::Response;

use super::to;
use crate::config::SignIn;
use crate::cookies::{Cookies, Kind};
use crate::extract::{Browser, PersonForm};
use crate::pages::Problem;
use crate::person::{Go, Kept};
use crate::state::AppState;
use crate::visit::visitor;

/// Sends the browser to the pool's sign-in, with what was typed kept.
pub(super) async fn depart(state: &AppState, mut cookies: Cookies<'_>) -> Response {
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

/// "Not you?": ends our session and the pool's, and the load balancer's where that signs people in.
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    browser: Browser,
    PersonForm(form): PersonForm,
) -> Response {
    let mut cookies = Cookies::new(state.cookies, &state.service, &browser.headers);
    let Ok(visitor) = visitor(&state, &browser, &mut cookies).await else {
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
    if matches!(state.config.sign_in, SignIn::Balancer(_)) {
        cookies.remove_balancer_session();
    }
    let (service, back) = (&state.service, state.service.settings.verification_uri());
    match service.pool.end_session_url(&service.settings.service_client, &back).await {
        Some(url) => {
            cookies.seal(Kind::Go, &Go { url: url.into(), signing_out: true });
            cookies.apply(to("/device/go"))
        }
        None => cookies.apply(to("/device")),
    }
}
