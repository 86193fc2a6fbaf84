//! The code, and the request it leads to.

use axum::response::Response;
use device_grant_domain::request::DeviceRequest;
use device_grant_domain::{Entry, OpenRequest, policy::Demands};
use device_grant_protocol::Params;

use super::{Visit, is_linked, shorten, to};
use crate::cookies::Kind;
use crate::pages::{Confirmation, Field, Notice, Objection};
use crate::person::{Kept, Seen, Shown};

impl Visit<'_> {
    /// Looks the code up that was typed, or that a link brought and the page showed in part.
    pub(super) async fn look_up(mut self, form: &Params) -> Response {
        let kept: Kept = self.cookies.open(Kind::Kept).unwrap_or_default();
        let typed = match (form.value("linked"), form.value("user_code")) {
            (Some("yes"), None) => kept.typed.clone(),
            (_, typed) => shorten(typed.unwrap_or_default()),
        };
        let linked = is_linked(self.state, &kept, &typed);
        let guesser = self.visitor.guesser(self.browser.sender.network);
        let notice = match self.state.service.enter(guesser, &typed).await {
            Ok(Entry::Found { request, user_code }) => {
                let seen = self.count(&request.request, kept.seen).await;
                let id = request.request.id.clone();
                let shown = Shown { request: id, user_code, linked, seen_by_many: seen.many };
                let kept = Kept { typed, prefilled: linked, fresh: false, seen: Some(seen) };
                self.cookies.seal(Kind::Kept, &kept);
                return self.confirm(&request, &shown, None);
            }
            Ok(Entry::NoMatch) => Notice::NoMatch,
            Ok(Entry::TooMany) => Notice::TooMany,
            Err(problem) => {
                tracing::warn!(error = %problem, "a user code cannot be looked up");
                Notice::TryAgain
            }
        };
        self.enter((&typed, linked), Some(notice))
    }

    /// The person wants to enter another code than the one that a link brought.
    pub(super) fn another(mut self) -> Response {
        self.cookies.remove(Kind::Kept);
        self.cookies.apply(to("/device"))
    }

    /// The code page.
    pub(super) fn enter(self, (typed, linked): (&str, bool), notice: Option<Notice>) -> Response {
        let service = &self.state.service;
        let csrf = self.visitor.csrf(service);
        let format = &service.settings.user_code;
        // Which client the code is of is not known yet.
        let hidden =
            service.clients.all().iter().map(|client| client.policies.most_typed()).max().unwrap_or(0);
        let code = format.read(typed).filter(|_| linked && hidden > 0);
        let field = match &code {
            Some(code) => Field::Masked(code, hidden),
            None if linked => Field::Linked(typed),
            None => Field::Typed(typed),
        };
        let page = self.state.pages.enter((self.visitor.account(), &csrf), format, field, notice);
        self.cookies.apply(page)
    }

    /// The confirmation page; with an objection it says why Authorize did not count.
    pub(super) fn confirm(self, open: &OpenRequest, shown: &Shown, objection: Option<Objection>) -> Response {
        let service = &self.state.service;
        let demands = self.demands(open, shown);
        let OpenRequest { request, origin, client } = open;
        let page = Confirmation {
            client_name: client.as_ref().map_or(request.client_id.as_str(), |client| &client.name),
            user_code: &shown.user_code,
            format: &service.settings.user_code,
            scope: &request.scope,
            requested: service.clock.now().since(request.created_at),
            network: origin.network,
            device: origin.device.as_deref(),
            account: self.visitor.account(),
            demands,
            seen_by_many: shown.seen_by_many,
            csrf: &self.visitor.csrf(service),
            confirm: &self.visitor.confirm_token(service, shown),
        };
        let page = self.state.pages.confirm(&page, objection);
        self.cookies.apply(page)
    }

    /// What this person has to do before they may authorize `open`.
    pub(super) fn demands(&self, open: &OpenRequest, shown: &Shown) -> Demands {
        let Some(client) = &open.client else {
            return Demands::default();
        };
        let nearness = open.origin.network.nearness(self.browser.sender.network);
        client.policies.demands(nearness, shown.linked)
    }

    /// Counts this look at `request`, if this person has not looked at it in this browser before.
    async fn count(&self, request: &DeviceRequest, seen: Option<Seen>) -> Seen {
        let name = self.visitor.name();
        match seen.filter(|seen| seen.request == request.id && seen.who == name) {
            Some(seen) => seen,
            None => Seen {
                request: request.id.clone(),
                who: name.to_owned(),
                many: self.state.service.is_seen_by_many(request).await,
            },
        }
    }
}
