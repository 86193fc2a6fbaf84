//! A load balancer that signs people in before it passes their requests on.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::extract::{Form, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::post;
use device_grant_domain::{Clock as _, SystemClock};
use device_grant_testkit::TestBalancer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Where its requests come from: an address of loopback that is nobody else's.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// As AWS names it.
const COOKIE: &str = "AWSELBAuthSessionCookie-0";
const DATA: &str = "x-amzn-oidc-data";
const IDENTITY: &str = "x-amzn-oidc-identity";
const SIGN_IN: &str = "/balancer/sign-in";
/// The paths that want to know who it is.
const GUARDED: [&str; 2] = ["/device", "/device/sign-out"];
const MOST: usize = 1 << 20;

/// It stands between haproxy and the replicas. As a balancer of AWS it strips the headers of its own that come with a
/// request, and on the paths that it guards it adds the signed ones for whoever has a session with it. Nobody gets at a page
/// there without one; a form passes without the headers, since no sign-in could bring it back.
pub struct Gatekeeper {
    balancer: TestBalancer,
    issuer: String,
    replicas: [u16; 2],
    turns: AtomicUsize,
    /// Who has which session.
    sessions: Mutex<HashMap<String, String>>,
    http: reqwest::Client,
}

impl Gatekeeper {
    /// Begins to serve on `port`. It ends with the test process.
    pub(crate) fn start(port: u16, replicas: [u16; 2], issuer: String) -> anyhow::Result<Arc<Self>> {
        let (tell, told) = mpsc::channel();
        // A runtime of its own: those of the tests end with them.
        thread::spawn(move || {
            let serve = async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
                let balancer = TestBalancer::spawn().await?;
                let http = client_at(ADDRESS)?;
                let (turns, sessions) = (AtomicUsize::new(0), Mutex::default());
                let gatekeeper = Arc::new(Self { balancer, issuer, replicas, turns, sessions, http });
                tell.send(Arc::clone(&gatekeeper)).ok().context("nobody waits")?;
                let router = axum::Router::new().route(SIGN_IN, post(sign_in)).fallback(pass);
                anyhow::Ok(axum::serve(listener, router.with_state(gatekeeper)).await?)
            };
            Runtime::new().map(|runtime| runtime.block_on(serve))
        });
        told.recv().context("the balancer that signs people in does not start")
    }

    /// What the configuration of a service behind it says.
    pub(crate) fn sections(&self) -> String {
        let TestBalancer { signer, key_url, .. } = &self.balancer;
        format!(
            "[web]\nsign_in = \"alb\"\n[alb]\nsigner = \"{signer}\"\nclient_id = \"{}\"\nkey_url = \"{key_url}\"\n",
            TestBalancer::CLIENT
        )
    }

    /// What it adds to a request of `name` now.
    pub fn headers(&self, name: &str) -> HeaderMap {
        self.headers_signed_by(&self.balancer, name)
    }

    /// The same, but signed with the key of another balancer.
    pub fn headers_signed_by(&self, balancer: &TestBalancer, name: &str) -> HeaderMap {
        let head = self.balancer.header(&self.issuer, SystemClock.now().as_secs());
        let value = |text: String| HeaderValue::try_from(text).expect("base64 and names are visible ASCII");
        HeaderMap::from_iter([
            (header::HeaderName::from_static(DATA), value(balancer.sign(&head, &claims(name)))),
            (header::HeaderName::from_static(IDENTITY), value(format!("sub-of-{name}"))),
        ])
    }

    /// Who has the session of a request's cookie.
    fn person(&self, headers: &HeaderMap) -> Option<String> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split("; ")).filter_map(|pair| pair.split_once('='));
        let (_, session) = pairs.find(|(name, _)| *name == COOKIE)?;
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned()
    }

    async fn forward(&self, request: Request, person: Option<String>) -> anyhow::Result<Response> {
        let port = self.replicas[self.turns.fetch_add(1, Ordering::Relaxed) % 2];
        let (mut parts, body) = request.into_parts();
        for name in [DATA, IDENTITY, "x-amzn-oidc-accesstoken"] {
            parts.headers.remove(name);
        }
        if let Some(person) = person {
            parts.headers.extend(self.headers(&person));
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let forwarded = self.http.request(parts.method, format!("http://127.0.0.1:{port}{path}"));
        let answer = forwarded.headers(parts.headers).body(to_bytes(body, MOST).await?).send().await?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONNECTION);
        Ok((status, headers, Body::from(answer.bytes().await?)).into_response())
    }
}

/// An HTTP client whose requests come from `address`, and which follows nothing.
pub fn client_at(address: Ipv4Addr) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().local_address(Some(address.into())).no_proxy();
    let builder = builder.tls_certs_only([]).redirect(reqwest::redirect::Policy::none());
    builder.build().context("no HTTP client")
}

fn claims(name: &str) -> Value {
    json!({ "sub": format!("sub-of-{name}"), "preferred_username": name, "name": format!("{name} of the balancer") })
}

async fn pass(State(gatekeeper): State<Arc<Gatekeeper>>, request: Request) -> Response {
    let guarded = GUARDED.contains(&request.uri().path());
    let person = gatekeeper.person(request.headers()).filter(|_| guarded);
    if person.is_none() && guarded && *request.method() == Method::GET {
        let page = format!(
            "<!doctype html><title>Sign in</title><form method=post action=\"{SIGN_IN}\">\
             <input id=balancer-name name=name><button id=balancer-sign-in>Sign in</button></form>"
        );
        return Html(page).into_response();
    }
    let forwarded = gatekeeper.forward(request, person).await;
    forwarded.unwrap_or_else(|problem| (StatusCode::BAD_GATEWAY, format!("{problem:#}")).into_response())
}

async fn sign_in(
    State(gatekeeper): State<Arc<Gatekeeper>>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut sessions = gatekeeper.sessions.lock().unwrap_or_else(PoisonError::into_inner);
    let session = format!("session-{}", sessions.len());
    sessions.insert(session.clone(), form.get("name").cloned().unwrap_or_default());
    let cookie = format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=None");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/device")).into_response()
}
