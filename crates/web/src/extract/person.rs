//! What a browser sends.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use device_grant_protocol::Params;

use super::device::is_form;
use super::network::Sender;
use crate::pages::Problem;
use crate::state::AppState;

/// Who asks for a page.
pub(crate) struct Browser {
    pub(crate) headers: HeaderMap,
    pub(crate) sender: Sender,
}

/// The query of a page's URL, read strictly.
pub(crate) struct PersonQuery(pub(crate) Params);

/// A form that a page sent.
pub(crate) struct PersonForm(pub(crate) Params);

impl FromRequestParts<AppState> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let sender = Sender::from_request_parts(parts, state).await?;
        Ok(Self { headers: parts.headers.clone(), sender })
    }
}

impl FromRequestParts<AppState> for PersonQuery {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let query = parts.uri.query().unwrap_or_default();
        Params::parse(query.as_bytes()).map(Self).map_err(|_| state.pages.problem(Problem::BadRequest))
    }
}

impl FromRequest<AppState> for PersonForm {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let unreadable = || state.pages.problem(Problem::BadRequest);
        let is_form = is_form(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(|_| unreadable())?;
        if !is_form && !body.is_empty() {
            return Err(unreadable());
        }
        Params::parse(&body).map(Self).map_err(|_| unreadable())
    }
}
