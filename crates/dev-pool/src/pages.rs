//! What people see.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, context};

use crate::pool::DevPool;

/// Nothing but this page's own style; forms may go anywhere, since the trip ends at the client's address.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) struct Pages(Environment<'static>);

/// Something to tell on the sign-in page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInNotice {
    None,
    WrongPassword,
}

impl Pages {
    pub(crate) fn new() -> Self {
        let mut pages = Environment::new();
        pages.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in [
            ("layout.html", include_str!("../templates/layout.html")),
            ("sign_in.html", include_str!("../templates/sign_in.html")),
            ("message.html", include_str!("../templates/message.html")),
        ] {
            // The templates are part of the program, and a test renders each.
            pages.add_template(name, source).expect("a built-in template parses");
        }
        Self(pages)
    }

    /// The sign-in page. `request` is the query of the authorization request, taken along in the form.
    pub(crate) fn sign_in(
        &self,
        pool: &DevPool,
        client_id: &str,
        request: &str,
        username: &str,
        notice: SignInNotice,
    ) -> Response {
        let wrong = notice == SignInNotice::WrongPassword;
        let users: Vec<_> = pool
            .config()
            .users
            .iter()
            .map(|user| context! { username => &user.username, password => &user.password })
            .collect();
        let status = if wrong { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.render(status, "sign_in.html", &context! { client_id, request, username, users, wrong })
    }

    /// A page that says one thing.
    pub(crate) fn message(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.render(status, "message.html", &context! { title, text })
    }

    fn render(&self, status: StatusCode, name: &str, values: &minijinja::Value) -> Response {
        let page = self.0.get_template(name).and_then(|template| template.render(values));
        let Ok(page) = page else {
            tracing::error!(name, "a page of the development pool cannot be rendered");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (status, headers, page).into_response()
    }
}
