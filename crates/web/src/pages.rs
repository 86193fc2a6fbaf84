//! Pages: templates, their words, and the headers that go with each.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use device_grant_domain::Outcome;
use device_grant_domain::codes::CodeFormat;
use device_grant_domain::pool::Account;
use device_grant_protocol::Scope;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

const TEMPLATES: [(&str, &str); 9] = [
    ("layout.html", include_str!("../templates/layout.html")),
    ("notice.html", include_str!("../templates/notice.html")),
    ("icon.html", include_str!("../templates/icon.html")),
    ("welcome.html", include_str!("../templates/welcome.html")),
    ("enter.html", include_str!("../templates/enter.html")),
    ("confirm.html", include_str!("../templates/confirm.html")),
    ("go.html", include_str!("../templates/go.html")),
    ("outcome.html", include_str!("../templates/outcome.html")),
    ("error.html", include_str!("../templates/error.html")),
];

/// Changes with the style sheet, so that browsers fetch a new one.
pub(crate) const ASSET_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The templates, and what is the same on every page.
pub(crate) struct Pages {
    environment: Environment<'static>,
    service_name: String,
    secure: bool,
}

/// Something that a person is told instead of what they wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request cannot be read.
    BadRequest,
    /// The form does not belong to this browser or page (UI-07), or another site sent it (UI-08).
    Forged,
    /// The callback does not belong to this browser, or is too old (CB-01, CB-02).
    StrangeCallback,
    /// The pool's answer names another issuer (CB-04).
    WrongIssuer,
    /// The person cancelled the sign-in.
    SignInCancelled,
    /// The sign-in brought nothing.
    SignInFailed,
    /// Something of ours or the pool is away.
    Unavailable,
    /// No such page.
    NotFound,
    /// A fault of ours.
    Internal,
    /// A form that came over plain http (SEC-13).
    PlainHttp,
    /// The proxy in front does not say how the request came (SEC-13).
    Proxy,
}

/// Words at the top of the code page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The code leads nowhere: unknown, expired, used and denied codes are not told apart (UC-08).
    NoMatch,
    /// Too many guesses.
    TooMany,
    /// The store does not answer.
    TryAgain,
}

/// What the confirmation page shows of the request.
pub(crate) struct Confirmation<'a> {
    pub(crate) client_name: &'a str,
    pub(crate) user_code: &'a str,
    pub(crate) scope: &'a Scope,
    pub(crate) requested: Duration,
    pub(crate) network: Option<&'a str>,
    pub(crate) device: Option<&'a str>,
    pub(crate) account: &'a Account,
    pub(crate) csrf: &'a str,
    pub(crate) confirm: &'a str,
}

#[derive(Serialize)]
struct Action {
    href: &'static str,
    label: &'static str,
}

const START_AGAIN: Action = Action { href: "/device", label: "Enter a code" };
const TRY_AGAIN: Action = Action { href: "/device", label: "Try again" };

impl Pages {
    pub(crate) fn new(service_name: String, secure: bool) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        for (name, source) in TEMPLATES {
            environment
                .add_template(name, source)
                .expect("the templates are compiled in and a test renders each");
        }
        Self { environment, service_name, secure }
    }

    pub(crate) fn welcome(&self) -> Response {
        self.render(StatusCode::OK, "welcome.html", context! {})
    }

    /// The code field.
    pub(crate) fn enter(
        &self,
        (account, csrf): (&Account, &str),
        format: &CodeFormat,
        (user_code, prefilled): (&str, bool),
        notice: Option<Notice>,
    ) -> Response {
        let (status, notice) = match notice {
            None => (StatusCode::OK, None),
            Some(Notice::NoMatch) => (
                StatusCode::OK,
                Some(
                    "That code is not waiting. Check it against your device, or start again there for a new one.",
                ),
            ),
            Some(Notice::TooMany) => (
                StatusCode::TOO_MANY_REQUESTS,
                Some("Too many codes were tried. Wait a while, then start again on your device."),
            ),
            Some(Notice::TryAgain) => (
                StatusCode::SERVICE_UNAVAILABLE,
                Some("We could not look the code up just now. Try again in a moment."),
            ),
        };
        let notice = notice.map(|text| context! { kind => "error", text });
        let example: String = "WDJBMJHT".chars().cycle().take(format.length()).collect();
        let placeholder = if format.is_numeric() {
            "0".repeat(format.length())
        } else {
            format.display(&device_grant_protocol::UserCode::new(example))
        };
        let field = context! {
            placeholder,
            inputmode => if format.is_numeric() { "numeric" } else { "text" },
            maxlength => format.length() * 2 + 16,
            capitalize => format.is_forgiving() && format.has_upper(),
        };
        self.render(
            status,
            "enter.html",
            context! { account => serialized(account), csrf, user_code, prefilled, notice, field },
        )
    }

    /// The confirmation.
    pub(crate) fn confirm(&self, shown: &Confirmation<'_>) -> Response {
        let scopes: Vec<Value> =
            shown.scope.tokens().map(|token| context! { words => in_words(token) }).collect();
        let origin = context! {
            requested_ago => ago(shown.requested),
            place => shown.network.map(|network| format!("network {network}")),
            device => shown.device,
        };
        let Confirmation { client_name, user_code, account, csrf, confirm, .. } = *shown;
        let page = context! { client_name, user_code, account => serialized(account), csrf, confirm, scopes, origin };
        self.render(StatusCode::OK, "confirm.html", page)
    }

    /// Sends the browser on to another site. `form-action` in the CSP would have to name every site on that way if the
    /// form's own answer were a redirect (UI-11).
    pub(crate) fn go(&self, url: &str, signing_out: bool) -> Response {
        let (heading, text) = if signing_out {
            ("Signing you out", "You are being taken to the sign-in service to end your session there.")
        } else {
            ("One moment", "You are being taken to the sign-in service.")
        };
        self.render(StatusCode::OK, "go.html", context! { url, heading, text })
    }

    /// What became of the decision.
    pub(crate) fn outcome(
        &self,
        outcome: Outcome,
        client_name: Option<&str>,
        account: Option<&Account>,
    ) -> Response {
        let (name, heading, text, action) = match outcome {
            Outcome::Approved => {
                ("approved", "Your device is connected", "It will go on by itself in a few seconds.", None)
            }
            Outcome::Denied => (
                "denied",
                "You said no",
                "The device was not connected. Nothing else needs to be done.",
                None,
            ),
            Outcome::Pending => (
                "pending",
                "Almost there",
                "The sign-in service is slow to answer. Your device will go on by itself as soon as it does.",
                Some(Action { href: "/device/done", label: "Look again" }),
            ),
            Outcome::TryAgain => (
                "retry",
                "That did not work",
                "The device is not connected yet. Nothing was lost: you can try again with the same code.",
                Some(TRY_AGAIN),
            ),
            Outcome::AccountDiffers => (
                "account_differs",
                "A different account came back",
                "You approved with one account, and another one signed in. The device was not connected.",
                Some(TRY_AGAIN),
            ),
            Outcome::Expired => (
                "expired",
                "The code has run out",
                "Start again on your device to get a new one.",
                Some(START_AGAIN),
            ),
            Outcome::Taken => (
                "taken",
                "This code was used already",
                "Somebody decided before you. If that was not you, start again on your device.",
                Some(START_AGAIN),
            ),
        };
        let page = context! {
            outcome => name, heading, text, client_name,
            account => serialized(account), action => serialized(&action),
        };
        self.render(StatusCode::OK, "outcome.html", page)
    }

    /// Something went wrong, in words for the person.
    pub(crate) fn problem(&self, problem: Problem) -> Response {
        let (status, heading, text, action) = match problem {
            Problem::BadRequest => {
                (400, "That link is broken", "Start again from the code page.", Some(START_AGAIN))
            }
            Problem::Forged => (
                403,
                "This page is too old",
                "Nothing was changed. Open the code page again and repeat the last step.",
                Some(START_AGAIN),
            ),
            Problem::StrangeCallback => (
                403,
                "This sign-in does not belong here",
                "It was begun in another browser, or too long ago. Nothing was changed. Start again here.",
                Some(START_AGAIN),
            ),
            Problem::WrongIssuer => (
                400,
                "That answer is not from our sign-in service",
                "Nothing was changed. Start again.",
                Some(START_AGAIN),
            ),
            Problem::SignInCancelled => (
                403,
                "You did not sign in",
                "To connect a device we need to know who you are.",
                Some(TRY_AGAIN),
            ),
            Problem::SignInFailed => {
                (403, "The sign-in did not work", "Nothing was lost. Try again.", Some(TRY_AGAIN))
            }
            Problem::Unavailable => (
                503,
                "Please try again in a moment",
                "A part of the service is not answering. Nothing was lost.",
                Some(TRY_AGAIN),
            ),
            Problem::NotFound => {
                (404, "There is no such page", "Were you looking for the code page?", Some(START_AGAIN))
            }
            Problem::PlainHttp => (
                403,
                "This connection is not private",
                "What you sent was not taken. Open the page again; its address begins with https.",
                Some(START_AGAIN),
            ),
            Problem::Proxy => (
                500,
                "This service is not set up yet",
                "For its operator: the proxy in front must set X-Forwarded-Proto (network.trusted_proxies).",
                None,
            ),
            Problem::Internal => {
                (500, "Something went wrong", "The fault is ours. Nothing was approved.", Some(TRY_AGAIN))
            }
        };
        let page = context! { status, heading, text, action => serialized(&action) };
        let status = StatusCode::from_u16(status).expect("the statuses above are statuses");
        self.render(status, "error.html", page)
    }

    fn render(&self, status: StatusCode, template: &str, page: Value) -> Response {
        let banner =
            (!self.secure).then_some("Development over plain http: use this on your own machine only.");
        let common = context! {
            lang => "en",
            asset_version => ASSET_VERSION,
            service_name => self.service_name.as_str(),
            banner,
        };
        let template = self.environment.get_template(template).expect("only the templates above are named");
        match template.render(context! { ..page, ..common }) {
            Ok(html) => Self::dress((status, Html(html)).into_response()),
            Err(error) => {
                tracing::error!(%error, "a page did not render");
                Self::dress(
                    (StatusCode::INTERNAL_SERVER_ERROR, Html("Something went wrong.")).into_response(),
                )
            }
        }
    }

    /// The headers of every page (SEC-01 to SEC-03).
    fn dress(mut response: Response) -> Response {
        let headers = response.headers_mut();
        let policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // Stricter would make Chromium send `Origin: null` with our own forms (UI-08).
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn serialized<T: Serialize>(value: T) -> Value {
    Value::from(minijinja::value::Serde(value))
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
