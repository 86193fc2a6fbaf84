//! The authorization response: back to the client (RFC 6749 §4.1.2, RFC 9207).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use url::Url;

use crate::pool::DevPool;

/// Sends the browser to the client's `redirect_uri` with `params`, the `state`, and `iss` where it is configured.
pub(super) fn redirect(
    pool: &DevPool,
    redirect_uri: &str,
    state: Option<&str>,
    params: &[(&str, &str)],
) -> Response {
    let mut members: Map<String, Value> =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    members.extend(state.map(|state| ("state".to_owned(), state.into())));
    if pool.config().issuer_on_callback {
        members.insert("iss".into(), pool.issuer().into());
    }
    pool.faults().behaviour().callback.apply(&mut members);

    let Ok(mut target) = Url::parse(redirect_uri) else {
        let text = "The client's registered redirect_uri is not a URL.";
        return pool.pages().message(StatusCode::BAD_REQUEST, "This client cannot be answered", text);
    };
    let mut query = target.query_pairs_mut();
    for (name, value) in &members {
        match value {
            Value::Array(values) => values.iter().for_each(|value| {
                query.append_pair(name, &text(value));
            }),
            value => {
                query.append_pair(name, &text(value));
            }
        }
    }
    drop(query);
    see_other(target.as_str())
}

/// 303, so that a form post becomes a GET; never cached.
pub(super) fn see_other(location: &str) -> Response {
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
