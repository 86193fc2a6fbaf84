//! A person with a browser of their own, for programs that need somebody to sign in.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use thiserror::Error;
use tower::ServiceExt;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::config::Ways;
use crate::faults::Endpoint;
use crate::pool::DevPool;

/// More redirects than any honest trip has.
const MOST_STEPS: usize = 10;

/// A page of the pool is small.
const PAGE_LIMIT: usize = 1 << 20;

/// Somebody who signs in at a pool, in process, with a cookie jar of their own.
#[derive(Clone, Debug)]
pub struct Person {
    pool: DevPool,
    router: Router,
    username: String,
    password: String,
    cookies: Vec<(String, String)>,
}

/// The trip ended on a page of the pool.
#[derive(Debug, Error)]
#[error("the pool did not send the browser on: it answered {status} at {url}")]
pub struct Stranded {
    /// Where.
    pub url: Url,
    /// The status of the page.
    pub status: u16,
    /// The page, or what came of it.
    pub page: String,
}

/// Which button of the sign-in page is pressed.
#[derive(Clone, Copy)]
enum Button {
    SignIn,
    Cancel,
}

impl Person {
    /// Somebody with an empty cookie jar.
    pub fn new(pool: &DevPool, username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            router: pool.router(),
            pool: pool.clone(),
            username: username.into(),
            password: password.into(),
            cookies: Vec::new(),
        }
    }

    /// Follows `url` through the pool, signs in where asked to, and returns the address outside the pool that
    /// the browser is sent to in the end: for an authorization URL that is the callback with its parameters.
    /// An address outside the pool comes back as it is.
    ///
    /// # Errors
    /// [`Stranded`] when the pool shows a page that is not the sign-in page, or does not take the password.
    pub async fn visit(&mut self, url: &Url) -> Result<Url, Stranded> {
        self.travel(url, Button::SignIn).await
    }

    /// The same trip, with "Cancel" pressed on the sign-in page. Somebody who is signed in already sees none.
    ///
    /// # Errors
    /// [`Stranded`] when the pool shows another page.
    pub async fn cancel(&mut self, url: &Url) -> Result<Url, Stranded> {
        self.travel(url, Button::Cancel).await
    }

    /// Signs out at the pool and stays there.
    pub async fn sign_out(&mut self) {
        if let Ok(url) = Url::parse(&self.pool.url(Endpoint::Logout.path())) {
            self.send(Method::GET, &url, String::new()).await;
        }
    }

    /// Empties the cookie jar, as another browser would have it.
    pub fn forget_cookies(&mut self) {
        self.cookies.clear();
    }

    async fn travel(&mut self, from: &Url, button: Button) -> Result<Url, Stranded> {
        let mut url = from.clone();
        let (mut method, mut form) = (Method::GET, String::new());
        for _ in 0..MOST_STEPS {
            if !self.is_in_the_pool(&url) {
                return Ok(url);
            }
            let response = self.send(method, &url, form).await;
            (method, form) = (Method::GET, String::new());
            if let Some(target) = redirect_target(&url, &response) {
                url = target;
                continue;
            }
            let at_sign_in = is_authorization(&url) && response.status() == StatusCode::OK;
            if !at_sign_in {
                return Err(strand(url, response).await);
            }
            (method, form) = (Method::POST, self.fill_in(&url, button));
            // As the page's form says: relative to the page.
            let Ok(target) = url.join("sign-in") else {
                return Err(strand(url, response).await);
            };
            url = target;
        }
        Err(Stranded { url, status: 0, page: format!("no end after {MOST_STEPS} steps") })
    }

    fn fill_in(&self, page: &Url, button: Button) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("request", page.query().unwrap_or_default());
        match button {
            Button::SignIn => form
                .append_pair("username", &self.username)
                .append_pair("password", &self.password)
                .append_pair("action", "sign-in"),
            Button::Cancel => form.append_pair("action", "cancel"),
        };
        form.finish()
    }

    async fn send(&mut self, method: Method, url: &Url, form: String) -> Response {
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method.clone()).uri(target);
        if let Some(host) = url.host_str() {
            request = request.header(header::HOST, host);
        }
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        // The path and query of a parsed URL, a parsed host and the pool's own cookies are valid in a request.
        let request = request.body(Body::from(form)).expect("a request from valid parts");
        let Ok(response) = self.router.clone().oneshot(request).await;
        self.keep_cookies(&response);
        response
    }

    fn keep_cookies(&mut self, response: &Response) {
        for set in response.headers().get_all(header::SET_COOKIE) {
            let Some((name, rest)) = set.to_str().ok().and_then(|set| set.split_once('=')) else {
                continue;
            };
            let mut parts = rest.split(';').map(str::trim);
            let value = parts.next().unwrap_or_default();
            self.cookies.retain(|cookie| cookie.0 != name);
            if !parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0")) {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn is_in_the_pool(&self, url: &Url) -> bool {
        let config = self.pool.config();
        let mut bases = [Some(&config.issuer), config.further_hop.as_ref()].into_iter().flatten();
        let is_below = |base: &Url| config.ways == Ways::Cognito || url.path().starts_with(base.path());
        bases.any(|base| base.origin() == url.origin() && is_below(base))
    }
}

/// The sign-in page has no address of its own: it is what an authorization request shows.
fn is_authorization(url: &Url) -> bool {
    let last = url.path().rsplit('/').next();
    last.is_some_and(|last| matches!(last, "authorize" | "federation"))
}

fn redirect_target(from: &Url, response: &Response) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    from.join(location).ok()
}

async fn strand(url: Url, response: Response) -> Stranded {
    let status = response.status().as_u16();
    let page = match to_bytes(response.into_body(), PAGE_LIMIT).await {
        Ok(page) => String::from_utf8_lossy(&page).into_owned(),
        Err(_) => "no whole page".to_owned(),
    };
    Stranded { url, status, page }
}
