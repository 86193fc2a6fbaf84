//! What devices and people were answered, and how fast.

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use device_grant_protocol::ErrorCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use super::BUCKETS;

#[derive(Clone, Debug)]
pub(super) struct Answers {
    count: Family<Answer, Counter>,
    duration: Family<Route, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: String,
    method: &'static str,
    status: u16,
    error: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

impl Default for Answers {
    fn default() -> Self {
        let duration = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self { count: Family::default(), duration }
    }
}

impl Answers {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "answers",
            "Answers to requests. `error` is the code of RFC 6749 section 5.2 or RFC 8628 section 3.5, if there is one",
            self.count.clone(),
        );
        registry.register_with_unit(
            "answer_time",
            "From the end of a request's head to its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
    }
}

pub(super) async fn measure(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("other", |path| path.as_str()).to_owned();
    let method = known(request.method());
    let began = Instant::now();
    let response = next.run(request).await;
    let error = response.extensions().get::<ErrorCode>().map_or("", |error| error.as_str());
    let status = response.status().as_u16();
    answers.duration.get_or_create(&Route { route: route.clone() }).observe(began.elapsed().as_secs_f64());
    answers.count.get_or_create(&Answer { route, method, status, error }).inc();
    response
}

/// A method may be anything that a stranger writes.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
