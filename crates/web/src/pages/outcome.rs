//! What became of a decision.

use axum::http::StatusCode;
use axum::response::Response;
use device_grant_domain::Outcome;
use device_grant_domain::pool::Account;
use minijinja::context;

use super::{Action, Pages, START_AGAIN, TRY_AGAIN, serialized};

impl Pages {
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
            Outcome::TooWeak => (
                "too_weak",
                "A stronger sign-in is needed",
                "This device asks for a fresh or a stronger sign-in than yours was. It was not connected. Try again, and \
                 sign in the way you are asked to.",
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
}
