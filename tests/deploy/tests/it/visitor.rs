//! A person without a browser.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, Url};

/// Follows redirects and the pages that send a browser on, and keeps cookies.
pub(crate) struct Visitor {
    http: Client,
    /// By the origin's port and their own name: everything is on the loopback.
    cookies: BTreeMap<(u16, String), String>,
}

impl Visitor {
    pub(crate) fn new() -> Self {
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self { http, cookies: BTreeMap::new() }
    }

    /// Opens a page, and goes where it leads.
    pub(crate) async fn open(&mut self, address: &str) -> Page {
        self.follow(self.http.get(address), address).await
    }

    /// Sends a form, and goes where that leads.
    pub(crate) async fn send(&mut self, address: &str, form: &[(&str, &str)]) -> Page {
        self.follow(self.http.post(address).form(form), address).await
    }

    async fn follow(&mut self, mut request: RequestBuilder, address: &str) -> Page {
        let mut url = Url::parse(address).unwrap();
        for _ in 0..10 {
            let port = url.port().unwrap();
            let own = self.cookies.iter().filter(|((of, _), _)| *of == port);
            let pairs: Vec<_> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
            let answer = request.header(COOKIE, pairs.join("; ")).send().await.unwrap();
            self.keep(port, &answer);
            let location = answer.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
            let page = Page { url: url.to_string(), text: answer.text().await.unwrap() };
            let Some(next) = location.or_else(|| page.attribute("id=\"go-on\" href=\"")) else { return page };
            url = url.join(&next).unwrap();
            request = self.http.get(url.clone());
        }
        panic!("this leads nowhere: {url}");
    }

    fn keep(&mut self, port: u16, answer: &Response) {
        for line in answer.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(&(port, name.to_owned()));
            } else {
                self.cookies.insert((port, name.to_owned()), value.to_owned());
            }
        }
    }
}

/// A page, and where it is.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) text: String,
}

impl Page {
    /// What stands between `start` and the next quotation mark.
    pub(crate) fn attribute(&self, start: &str) -> Option<String> {
        let value = self.text.split(start).nth(1)?.split('"').next()?;
        Some(value.replace("&amp;", "&").replace("&#x2f;", "/"))
    }

    /// The value of a hidden field.
    pub(crate) fn hidden(&self, name: &str) -> String {
        let found = self.attribute(&format!("type=\"hidden\" name=\"{name}\" value=\""));
        found.unwrap_or_else(|| panic!("no {name} on {self:?}"))
    }
}
