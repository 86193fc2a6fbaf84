//! The decision.

use axum::response::Response;
use device_grant_domain::{AttemptId, DepartureError, OpenRequest, Outcome, TypedEnd};
use device_grant_protocol::Params;

use super::{Visit, shorten, to};
use crate::cookies::Kind;
use crate::pages::{Objection, Problem};
use crate::person::{Done, Go, Shown};

impl Visit<'_> {
    /// Authorize: on to the pool, if the client's policies have nothing against it.
    pub(super) async fn authorize(mut self, form: &Params) -> Response {
        let (service, pages) = (&self.state.service, &self.state.pages);
        let Some(shown) = self.shown(form) else {
            return pages.problem(Problem::Forged);
        };
        let open = match service.still_open(&shown.request, &shown.user_code).await {
            Ok(Some(open)) => open,
            Ok(None) => return pages.outcome(self.closed(&shown).await, None, None),
            Err(_) => return pages.problem(Problem::Unavailable),
        };
        if let Some(objection) = self.objection(&open, &shown, form).await {
            return self.confirm(&open, &shown, Some(objection));
        }
        let network = self.browser.sender.network;
        let departed =
            service.depart_for_grant(&open.request, shown.user_code, (self.visitor.account(), network)).await;
        match departed {
            Ok((trip, url)) => {
                self.cookies.keep_trip(&trip);
                self.cookies.seal(Kind::Go, &Go { url: url.into(), signing_out: false });
                self.cookies.apply(to("/device/go"))
            }
            Err(DepartureError::Refused(_)) => pages.outcome(Outcome::Expired, None, None),
            Err(DepartureError::Pool(problem)) => {
                tracing::warn!(%problem, "an approval cannot go on");
                pages.problem(Problem::Unavailable)
            }
        }
    }

    /// Deny: recorded at once.
    pub(super) async fn deny(mut self, form: &Params) -> Response {
        let Some(shown) = self.shown(form) else {
            return self.state.pages.problem(Problem::Forged);
        };
        let outcome = match self.state.service.deny(&shown.request).await {
            Outcome::Taken => self.closed(&shown).await,
            outcome => outcome,
        };
        let done = Done {
            request: shown.request,
            attempt: None,
            outcome,
            client_name: None,
            account: self.visitor.account().cloned(),
        };
        self.cookies.remove(Kind::Kept);
        self.cookies.seal(Kind::Done, &done);
        self.cookies.apply(to("/device/done"))
    }

    /// What the page showed that `form` was on.
    fn shown(&self, form: &Params) -> Option<Shown> {
        self.visitor.confirmed(&self.state.service, form.value("confirm")?)
    }

    /// What the client's policies have against an authorization now. What was typed is looked at last: it may cost a
    /// guess.
    async fn objection(&self, open: &OpenRequest, shown: &Shown, form: &Params) -> Option<Objection> {
        let (service, request) = (&self.state.service, &open.request);
        let demands = self.demands(open, shown);
        let guesser = self.visitor.guesser(self.browser.sender.network);
        if demands.refused {
            service.note_policy(guesser, request, "another_network");
            return Some(Objection::FarAway);
        }
        if demands.own_device && form.value("own_device") != Some("yes") {
            service.note_policy(guesser, request, "not_ticked");
            return Some(Objection::NotTicked);
        }
        if demands.typed == 0 {
            return None;
        }
        let typed = shorten(form.value("typed").unwrap_or_default());
        match service.check_end(guesser, request, (&shown.user_code, demands.typed), &typed).await {
            Ok(TypedEnd::Right) => None,
            Ok(TypedEnd::Wrong) => Some(Objection::WrongCharacters),
            Ok(TypedEnd::TooMany) => Some(Objection::TooMany),
            Err(problem) => {
                tracing::warn!(error = %problem, "what was typed cannot be counted");
                Some(Objection::TryAgain)
            }
        }
    }

    /// What became of a request that was shown and is not open any more (UI-09). A browser that went on the trip itself
    /// hears of its own trip.
    async fn closed(&self, shown: &Shown) -> Outcome {
        let attempt = self.cookies.attempt_for(&shown.request).unwrap_or_else(|| AttemptId::from_stored(""));
        self.state.service.outcome(&attempt, &shown.request).await
    }
}
