//! What a person is told when something goes wrong.

use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;

use super::{Pages, SIGN_IN_AGAIN, START_AGAIN, TRY_AGAIN, serialized};

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
    /// Too many sign-ins from this network brought nothing.
    TooManySignIns,
    /// The load balancer's session is over, or it did not sign this person in.
    SignInOver,
    /// Something of ours or the pool is away.
    Unavailable,
    /// More people than this replica answers at once.
    Busy,
    /// A form that did not arrive in time.
    TooSlow,
    /// No such page.
    NotFound,
    /// A fault of ours.
    Internal,
    /// A form that came over plain http (SEC-13).
    PlainHttp,
    /// The proxy in front does not say how the request came (SEC-13).
    Proxy,
}

impl Pages {
    /// Something went wrong, in words for the person.
    #[expect(clippy::too_many_lines, reason = "a table of words")]
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
            Problem::TooManySignIns => (
                429,
                "Too many sign-ins from your network did not work",
                "Wait a minute, then try again. Nothing was lost.",
                Some(TRY_AGAIN),
            ),
            Problem::SignInOver => (
                403,
                "Your sign-in has ended",
                "Nothing was lost. Sign in again, then repeat the last step.",
                Some(SIGN_IN_AGAIN),
            ),
            Problem::Unavailable => (
                503,
                "Please try again in a moment",
                "A part of the service is not answering. Nothing was lost.",
                Some(TRY_AGAIN),
            ),
            Problem::Busy => (
                503,
                "Many people are here right now",
                "Wait a few seconds, then try again. Nothing was lost.",
                Some(TRY_AGAIN),
            ),
            Problem::TooSlow => (
                408,
                "Your connection was too slow",
                "What you sent did not arrive. Nothing was changed. Try again.",
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
}
