//! The page that asks for the decision.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use device_grant_domain::Network;
use device_grant_domain::codes::CodeFormat;
use device_grant_domain::policy::Demands;
use device_grant_domain::pool::Account;
use device_grant_protocol::{Scope, UserCode};
use minijinja::{Value, context};

use super::{Pages, serialized};

/// What the confirmation page shows of the request.
pub(crate) struct Confirmation<'a> {
    pub(crate) client_name: &'a str,
    pub(crate) user_code: &'a UserCode,
    pub(crate) format: &'a CodeFormat,
    pub(crate) scope: &'a Scope,
    pub(crate) requested: Duration,
    pub(crate) network: Network,
    pub(crate) device: Option<&'a str>,
    /// Nobody yet, where people sign in only after this page.
    pub(crate) account: Option<&'a Account>,
    /// What the person has to do before they may authorize.
    pub(crate) demands: Demands,
    /// Whether more people have looked at this request than there should be.
    pub(crate) seen_by_many: bool,
    pub(crate) csrf: &'a str,
    pub(crate) confirm: &'a str,
}

/// Why Authorize did not count, and the page is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// The device is in another network, and the client's policy refuses that.
    FarAway,
    /// The person has not said that the device is in front of them.
    NotTicked,
    /// The characters that were to be typed from the device's screen are others.
    WrongCharacters,
    /// Too many guesses.
    TooMany,
    /// The store does not answer.
    TryAgain,
}

impl Objection {
    const fn status_and_text(self) -> (StatusCode, &'static str) {
        match self {
            Self::FarAway => (
                StatusCode::FORBIDDEN,
                "Nothing was connected: your device and this browser must be on the same network.",
            ),
            Self::NotTicked => (
                StatusCode::OK,
                "Nothing is connected yet. Say that the device is in front of you, or choose Deny.",
            ),
            Self::WrongCharacters => (
                StatusCode::OK,
                "Nothing is connected yet. Those are not the characters that your device shows: look at its screen, and if \
                 you do not have it in front of you, choose Deny.",
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many codes were tried. Wait a while, then start again on your device.",
            ),
            Self::TryAgain => {
                (StatusCode::SERVICE_UNAVAILABLE, "We could not go on just now. Try again in a moment.")
            }
        }
    }
}

impl Pages {
    /// The confirmation; with an objection it is shown again.
    pub(crate) fn confirm(&self, shown: &Confirmation<'_>, objection: Option<Objection>) -> Response {
        let (status, text) = objection.map_or((StatusCode::OK, None), |objection| {
            let (status, text) = objection.status_and_text();
            (status, Some(text))
        });
        let scopes: Vec<Value> =
            shown.scope.tokens().map(|token| context! { words => in_words(token) }).collect();
        let origin = context! {
            requested_ago => ago(shown.requested),
            place => format!("network {}", shown.network.coarse()),
            device => shown.device,
        };
        let Confirmation { client_name, format, demands, csrf, confirm, seen_by_many, .. } = *shown;
        let ask = context! {
            typed => demands.typed,
            own_device => demands.own_device,
            far => demands.far,
            refused => demands.refused,
            numeric => format.is_numeric(),
        };
        let page = context! {
            client_name, csrf, confirm, scopes, origin, ask, seen_by_many,
            user_code => format.display_hiding(shown.user_code, demands.typed),
            account => serialized(shown.account),
            notice => text.map(|text| context! { kind => "error", text }),
        };
        self.render(status, "confirm.html", page)
    }
}

/// A scope in plain words.
fn in_words(token: &str) -> String {
    match token {
        "openid" => "Know that it is you".to_owned(),
        "profile" => "See your name and profile".to_owned(),
        "email" => "See your email address".to_owned(),
        "phone" => "See your telephone number".to_owned(),
        "address" => "See your postal address".to_owned(),
        "offline_access" => "Stay connected until you disconnect it".to_owned(),
        other => format!("Use “{other}”"),
    }
}

fn ago(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..=59 => "less than a minute ago".to_owned(),
        60..=119 => "a minute ago".to_owned(),
        seconds => format!("{} minutes ago", seconds / 60),
    }
}
