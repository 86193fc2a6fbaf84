//! What operators watch, in the form that Prometheus reads (`OpenMetrics` 1.0).
//!
//! No label says anything that a stranger has written: routes, outcomes and names of calls come from short lists, and a
//! client is named only if there is one.

mod answers;
mod calls;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use device_grant_domain::Observer;
use device_grant_protocol::ClientId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use answers::Answers;
pub(crate) use calls::{Calls, Measured};
pub(crate) use state::ReplicaState;

const PREFIX: &str = "device_grant";
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds: from what memory answers to what a person takes for broken.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Everything that is counted while it happens. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    events: Family<Happened, Counter>,
    answers: Answers,
    pub(crate) store: Calls,
    pub(crate) pool: Calls,
}

/// Its fields are the labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Happened {
    event: &'static str,
    outcome: &'static str,
    client: String,
}

impl Observer for Metrics {
    fn happened(&self, event: &'static str, outcome: &'static str, client: Option<&ClientId>) {
        let client = client.map(ToString::to_string).unwrap_or_default();
        self.events.get_or_create(&Happened { event, outcome, client }).inc();
    }
}

impl Metrics {
    /// Counts what `router` answers.
    pub(crate) fn watch(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.answers.clone(), answers::measure))
    }

    /// `/metrics`, for a listener of its own.
    pub(crate) fn router(&self, state: ReplicaState) -> Router {
        Router::new().route("/metrics", get(scrape)).with_state(Arc::new(self.registry(state)))
    }

    fn registry(&self, state: ReplicaState) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "events",
            "What happened to logins, as in the audit trail, and what is only counted: `poll`, `take_over` and good `refresh`es",
            self.events.clone(),
        );
        self.answers.register(&mut registry);
        self.store.register(&mut registry, "store", "the store");
        self.pool.register(&mut registry, "pool", "the user pool");
        registry.register_collector(Box::new(state));
        registry
    }
}

async fn scrape(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string cannot fail");
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}

#[cfg(test)]
mod tests;
