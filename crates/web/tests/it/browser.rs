//! A person with a browser: a cookie jar, and forms that are sent as they stand on the page.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use device_grant_dev_pool::Person;
use scraper::{Html, Selector};
use url::Url;

use super::app::{Answer, Codes, PUBLIC_URL, TestApp, post};

pub struct Browser<'a> {
    app: &'a TestApp,
    pub person: Person,
    pub cookies: Vec<(String, String)>,
    /// Which replica answers.
    pub replica: usize,
    /// Where the browser is; without it, where everybody is.
    pub address: Option<IpAddr>,
    /// Headers that a proxy adds on the way.
    pub added: Vec<(&'static str, String)>,
}

impl<'a> Browser<'a> {
    pub fn of(app: &'a TestApp, username: &str) -> Self {
        let person = Person::new(app.dev_pool(), username, username);
        Self { app, person, cookies: Vec::new(), replica: 0, address: None, added: Vec::new() }
    }

    pub fn alice(app: &'a TestApp) -> Self {
        Self::of(app, "alice")
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Opens a page without taking the cookies that it sets.
    pub async fn peek(&self, path: &str) -> Answer {
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::get(path).header(header::COOKIE, jar.join("; ")).body(Body::empty());
        self.app.send_to(self.replica, request.unwrap()).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = post(path, form);
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        request.headers_mut().insert(header::ORIGIN, PUBLIC_URL.parse().unwrap());
        self.send(request).await
    }

    pub async fn send(&mut self, mut request: Request<Body>) -> Answer {
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !jar.is_empty() {
            request.headers_mut().insert(header::COOKIE, jar.join("; ").parse().unwrap());
        }
        for (name, value) in &self.added {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        if let Some(address) = self.address {
            request.extensions_mut().insert(SocketAddr::new(address, 4711));
        }
        let answer = self.app.send_to(self.replica, request).await;
        self.take_cookies(&answer.headers);
        answer
    }

    /// Signs in at the pool, if not signed in yet, and returns the code page.
    pub async fn sign_in(&mut self) -> Answer {
        self.land("/device").await
    }

    /// Opens `path` and follows redirects and trips to the pool until a page of ours stands there.
    pub async fn land(&mut self, path: &str) -> Answer {
        let mut path = path.to_owned();
        for _ in 0..12 {
            let answer = self.get(&path).await;
            if answer.status == StatusCode::SEE_OTHER {
                path = answer.header(header::LOCATION).to_owned();
            } else if let Some(away) = away(&answer) {
                path = local(&self.person.visit(&away).await.unwrap());
            } else {
                return answer;
            }
        }
        panic!("the browser goes in circles");
    }

    /// Enters a code and returns what comes: the confirmation, or the code page again.
    pub async fn enter(&mut self, user_code: &str) -> Answer {
        let page = self.sign_in().await;
        let csrf = field(&page, "#continue", "csrf");
        self.post("/device", &[("intent", "lookup"), ("csrf", &csrf), ("user_code", user_code)]).await
    }

    /// Enters the code and presses Authorize; returns where the browser is sent: the pool's authorization URL.
    pub async fn authorize(&mut self, codes: &Codes) -> Url {
        let page = self.enter(&codes.user_code).await;
        self.press(&page, "#authorize").await
    }

    /// Presses Authorize on a confirmation page.
    pub async fn press(&mut self, page: &Answer, button: &str) -> Url {
        let answer = self.decide(page, button).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        assert_eq!(answer.header(header::LOCATION), "/device/go");
        let go = self.get("/device/go").await;
        away(&go).unwrap_or_else(|| panic!("no way on: {}", go.text))
    }

    /// Sends the form around `button` as it stands on the page.
    pub async fn decide(&mut self, page: &Answer, button: &str) -> Answer {
        self.decide_with(page, button, &[]).await
    }

    /// Sends the form around `button` with what the person adds in the page's fields.
    pub async fn decide_with(&mut self, page: &Answer, button: &str, added: &[(&str, &str)]) -> Answer {
        let mut form = form_of(page, button);
        form.extend(added.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let pairs: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post("/device", &pairs).await
    }

    /// Enters the code, presses Authorize and signs in at the pool; returns the callback that the pool sends the browser to.
    pub async fn way_back(&mut self, codes: &Codes) -> String {
        let away = self.authorize(codes).await;
        local(&self.person.visit(&away).await.unwrap())
    }

    /// The whole way: enter, authorize, sign in at the pool, come back.
    pub async fn approve(&mut self, codes: &Codes) -> Answer {
        let back = self.way_back(codes).await;
        self.land(&back).await
    }

    /// The whole way to no.
    pub async fn deny(&mut self, codes: &Codes) -> Answer {
        let page = self.enter(&codes.user_code).await;
        let answer = self.decide(&page, "#deny").await;
        assert_eq!(answer.header(header::LOCATION), "/device/done");
        self.get("/device/done").await
    }

    fn take_cookies(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(header::SET_COOKIE) {
            let value = value.to_str().unwrap();
            let (name, rest) = value.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), rest.split(';').next().unwrap().to_owned()));
            }
        }
    }
}

/// Where a page sends the browser on to.
pub fn away(answer: &Answer) -> Option<Url> {
    let page = Html::parse_document(&answer.text);
    let link = page.select(&selector("#go-on")).next()?;
    Some(link.attr("href").unwrap().parse().unwrap())
}

/// The `state` of a trip to the pool.
pub fn state_of(away: &Url) -> String {
    away.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

/// The path and query of one of our own URLs.
pub fn local(url: &Url) -> String {
    assert!(url.as_str().starts_with(PUBLIC_URL), "{url}");
    url.as_str()[PUBLIC_URL.len()..].to_owned()
}

/// Which outcome a page tells of.
#[track_caller]
pub fn outcome(answer: &Answer) -> String {
    let page = Html::parse_document(&answer.text);
    let main = page.select(&selector("#outcome")).next();
    main.unwrap_or_else(|| panic!("no outcome: {}", answer.text)).attr("data-outcome").unwrap().to_owned()
}

/// The text of the element `selected`, if it is there.
pub fn text(answer: &Answer, selected: &str) -> Option<String> {
    let page = Html::parse_document(&answer.text);
    let element = page.select(&selector(selected)).next()?;
    Some(element.text().collect::<String>().trim().to_owned())
}

/// A hidden field of the form around `button`.
#[track_caller]
pub fn field(answer: &Answer, button: &str, name: &str) -> String {
    let form = form_of(answer, button);
    form.into_iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("no field {name}")).1
}

#[track_caller]
pub fn form_of(answer: &Answer, button: &str) -> Vec<(String, String)> {
    let page = Html::parse_document(&answer.text);
    let inputs = selector("input");
    let form = page
        .select(&selector("form"))
        .find(|form| form.select(&selector(button)).next().is_some())
        .unwrap_or_else(|| panic!("no {button} on the page: {}", answer.text));
    form.select(&inputs)
        .map(|input| {
            (input.attr("name").unwrap().to_owned(), input.attr("value").unwrap_or_default().to_owned())
        })
        .collect()
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap()
}
