//! The page with the code field.

use axum::http::StatusCode;
use axum::response::Response;
use device_grant_domain::codes::CodeFormat;
use device_grant_domain::pool::Account;
use device_grant_protocol::UserCode;
use minijinja::{Value, context};

use super::{Pages, serialized};

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

/// What stands in the code field.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    /// What was typed, or nothing.
    Typed(&'a str),
    /// What a link brought; to be compared.
    Linked(&'a str),
    /// What a link brought, shown without its last characters: they may have to be typed from the device's screen, and
    /// must not be read from here instead.
    Masked(&'a UserCode, usize),
}

impl Notice {
    const fn status_and_text(self) -> (StatusCode, &'static str) {
        match self {
            Self::NoMatch => (
                StatusCode::OK,
                "That code is not waiting. Check it against your device, or start again there for a new one.",
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many codes were tried. Wait a while, then start again on your device.",
            ),
            Self::TryAgain => (
                StatusCode::SERVICE_UNAVAILABLE,
                "We could not look the code up just now. Try again in a moment.",
            ),
        }
    }
}

impl Pages {
    /// The code field. Without an account nobody has signed in yet.
    pub(crate) fn enter(
        &self,
        (account, csrf): (Option<&Account>, &str),
        format: &CodeFormat,
        content: Field<'_>,
        notice: Option<Notice>,
    ) -> Response {
        let (status, text) = notice.map_or((StatusCode::OK, None), |notice| {
            let (status, text) = notice.status_and_text();
            (status, Some(text))
        });
        let notice = text.map(|text| context! { kind => "error", text });
        let (user_code, masked) = match content {
            Field::Typed(typed) | Field::Linked(typed) => (typed, None),
            Field::Masked(code, hidden) => ("", Some(format.display_hiding(code, hidden))),
        };
        let prefilled = !matches!(content, Field::Typed(_));
        let field = field(format);
        let page =
            context! { account => serialized(account), csrf, user_code, masked, prefilled, notice, field };
        self.render(status, "enter.html", page)
    }
}

fn field(format: &CodeFormat) -> Value {
    let example: String = "WDJBMJHT".chars().cycle().take(format.length()).collect();
    let placeholder = if format.is_numeric() {
        "0".repeat(format.length())
    } else {
        format.display(&UserCode::new(example))
    };
    context! {
        placeholder,
        inputmode => if format.is_numeric() { "numeric" } else { "text" },
        maxlength => format.length() * 2 + 16,
        capitalize => format.is_forgiving() && format.has_upper(),
    }
}
