//! The one place where paths are written, with the layers in their order.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use device_grant_domain::DeviceGrant;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use crate::body;
use crate::config::WebConfig;
use crate::error::RETRY_AFTER;
use crate::health::Health;
use crate::load::{Lane, Load};
use crate::pages::Problem;
use crate::routes::{assets, callback, device, device_authorization, done, health, metadata, revoke, token};
use crate::state::AppState;
use crate::transport;

/// The longest a request may take: longer than an exchange with every retry of the writes around it.
pub const DEADLINE: Duration = Duration::from_secs(75);

/// Every endpoint of the service.
pub fn router(service: Arc<DeviceGrant>, health: Arc<Health>, load: Arc<Load>, config: WebConfig) -> Router {
    let state = AppState::new(service, (health, load), config);
    let common = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ));
    devices(&state)
        .merge(people(&state))
        .merge(operators())
        .fallback(not_found)
        .layer(common)
        .layer(from_fn_with_state(state.clone(), transport::strict))
        .layer(from_fn(transport::one_host))
        .with_state(state)
}

/// What devices call. Every answer, also a 405, is `no-store` (DA-05, TP-15).
fn devices(state: &AppState) -> Router<AppState> {
    Router::new()
        .route("/device_authorization", only_post(post(device_authorization::post)))
        .route("/token", only_post(post(token::post)))
        .route("/revoke", only_post(post(revoke::post)))
        .layer(from_fn(device_deadline))
        .layer(from_fn_with_state(state.clone(), body::of_devices))
        .layer(from_fn(no_store))
        .route("/.well-known/oauth-authorization-server", only_get(get(metadata::get)))
        .layer(from_fn_with_state(state.clone(), transport::for_devices))
}

/// What people see.
fn people(state: &AppState) -> Router<AppState> {
    let pages = state.clone();
    let broken = move |_: Box<dyn std::any::Any + Send + 'static>| {
        tracing::error!("a page's handler panicked");
        pages.pages.problem(Problem::Internal)
    };
    Router::new()
        .route("/", only_get(get(device::welcome)))
        .route("/device", get(device::get).post(device::post).options(|| allow("GET, HEAD, POST, OPTIONS")))
        .route("/device/go", only_get(get(device::go)))
        .route("/device/done", only_get(get(done::get)))
        .route("/device/sign-out", only_post(post(device::sign_out)))
        .route("/callback", only_get(get(callback::get).head(callback::head)))
        .layer(from_fn_with_state(state.clone(), same_origin))
        .layer(from_fn_with_state(state.clone(), a_place))
        .layer(from_fn_with_state(state.clone(), person_deadline))
        .layer(from_fn_with_state(state.clone(), body::of_people))
        .layer(CatchPanicLayer::custom(broken))
        .route("/device/assets/style.css", only_get(get(assets::style)))
        .route("/device/assets/icon.svg", only_get(get(assets::icon)))
        .layer(from_fn_with_state(state.clone(), transport::for_people))
}

/// What load balancers ask.
fn operators() -> Router<AppState> {
    Router::new()
        .route("/livez", only_get(get(health::livez)))
        .route("/readyz", only_get(get(health::readyz)))
        .layer(from_fn(no_store))
}

fn only_get(route: MethodRouter<AppState>) -> MethodRouter<AppState> {
    route.options(|| allow("GET, HEAD, OPTIONS"))
}

fn only_post(route: MethodRouter<AppState>) -> MethodRouter<AppState> {
    route.options(|| allow("POST, OPTIONS"))
}

/// HI-08: OPTIONS answers what there is, without a login.
fn allow(methods: &'static str) -> std::future::Ready<impl IntoResponse> {
    std::future::ready((StatusCode::NO_CONTENT, [(header::ALLOW, methods)]))
}

async fn not_found(State(state): State<AppState>) -> Response<axum::body::Body> {
    state.pages.problem(Problem::NotFound)
}

async fn no_store(request: axum::extract::Request, next: Next) -> Response<axum::body::Body> {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn device_deadline(request: axum::extract::Request, next: Next) -> Response<axum::body::Body> {
    let answer = tokio::time::timeout(DEADLINE, next.run(request)).await;
    answer.unwrap_or_else(|_| crate::error::OAuthError::unavailable().into_response())
}

async fn person_deadline(
    State(state): State<AppState>,
    request: axum::extract::Request,
    next: Next,
) -> Response<axum::body::Body> {
    let answer = tokio::time::timeout(DEADLINE, next.run(request)).await;
    answer.unwrap_or_else(|_| state.pages.problem(Problem::Unavailable))
}

/// Whoever finds no place is told so at once.
async fn a_place(
    State(state): State<AppState>,
    request: axum::extract::Request,
    next: Next,
) -> Response<axum::body::Body> {
    let lane = if request.uri().path() == "/callback" { Lane::Pool } else { Lane::People };
    let Some(_place) = state.load.enter(lane) else {
        let mut page = state.pages.problem(Problem::Busy);
        page.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
        return page;
    };
    next.run(request).await
}

/// UI-08: only our own pages send forms here. What a browser says of where a form comes from must be our public origin,
/// whatever host it was sent to; one that says neither has its tokens to go by.
async fn same_origin(
    State(state): State<AppState>,
    request: axum::extract::Request,
    next: Next,
) -> Response<axum::body::Body> {
    let headers = request.headers();
    let ours = state.service.settings.public_url.origin().ascii_serialization();
    let own_site = [&b"same-origin"[..], b"none"];
    let is_foreign =
        headers.get_all("sec-fetch-site").iter().any(|site| !own_site.contains(&site.as_bytes()))
            || headers.get_all(header::ORIGIN).iter().any(|origin| origin.as_bytes() != ours.as_bytes());
    if is_foreign && *request.method() == Method::POST {
        return state.pages.problem(Problem::Forged);
    }
    next.run(request).await
}

/// Method and route only: queries hold codes, and paths of strangers hold anything.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let route = request.extensions().get::<axum::extract::MatchedPath>().map_or("-", |path| path.as_str());
    tracing::info_span!("request", method = %known(request.method()), route)
}

fn known(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response<axum::body::Body> {
    tracing::error!("a handler panicked");
    crate::error::OAuthError::code(device_grant_protocol::ErrorCode::ServerError).into_response()
}
