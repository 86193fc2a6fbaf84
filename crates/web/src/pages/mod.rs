//! Pages: templates, their words, and the headers that go with each.

mod confirm;
mod enter;
mod outcome;
mod problem;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

pub(crate) use confirm::{Confirmation, Objection};
pub(crate) use enter::{Field, Notice};
pub(crate) use problem::Problem;

const TEMPLATES: [(&str, &str); 9] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("notice.html", include_str!("../../templates/notice.html")),
    ("icon.html", include_str!("../../templates/icon.html")),
    ("welcome.html", include_str!("../../templates/welcome.html")),
    ("enter.html", include_str!("../../templates/enter.html")),
    ("confirm.html", include_str!("../../templates/confirm.html")),
    ("go.html", include_str!("../../templates/go.html")),
    ("outcome.html", include_str!("../../templates/outcome.html")),
    ("error.html", include_str!("../../templates/error.html")),
];

/// Changes with the style sheet, so that browsers fetch a new one.
pub(crate) const ASSET_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The templates, and what is the same on every page.
pub(crate) struct Pages {
    environment: Environment<'static>,
    service_name: String,
    secure: bool,
}

#[derive(Serialize)]
struct Action {
    href: &'static str,
    label: &'static str,
}

const START_AGAIN: Action = Action { href: "/device", label: "Enter a code" };
const SIGN_IN_AGAIN: Action = Action { href: "/device", label: "Sign in again" };
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
