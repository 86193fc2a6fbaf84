use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use scraper::{ElementRef, Html, Selector};
use url::Url;

/// How many pages and redirects one approval may take.
const MAX_STEPS: usize = 40;

/// A person whose browser knows links, forms, redirects and cookies, and no script.
#[derive(Debug)]
pub struct Person {
    http: reqwest::Client,
    /// By host and name. Ports share cookies, as in a browser.
    cookies: BTreeMap<(String, String), String>,
    /// Every value that a cookie has had.
    seen: Vec<(String, String)>,
    username: String,
    password: String,
}

/// What follows from a page.
enum Step {
    Follow(Url),
    Submit(Url, Vec<(String, String)>),
    Done(String),
}

impl Person {
    /// A person with these credentials at the pool, and a fresh browser.
    pub fn new(username: &str, password: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            http,
            cookies: BTreeMap::new(),
            seen: Vec::new(),
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Opens the address, signs in where asked, enters the code, presses Authorize, and returns what the last page says
    /// of the request.
    pub async fn approve(&mut self, address: &str, user_code: &str) -> anyhow::Result<String> {
        let mut address = Url::parse(address)?;
        let mut response = self.send(self.http.get(address.clone()), &address).await?;
        for _ in 0..MAX_STEPS {
            let step = if let Some(location) = response.headers().get(LOCATION) {
                Step::Follow(address.join(location.to_str()?)?)
            } else {
                let status = response.status();
                let page = response.text().await?;
                self.read(&address, &page, user_code)
                    .with_context(|| format!("{status} at {address}:\n{page}"))?
            };
            let request = match step {
                Step::Done(outcome) => return Ok(outcome),
                Step::Follow(next) => {
                    address = next;
                    self.http.get(address.clone())
                }
                Step::Submit(action, fields) => {
                    let origin = address.origin().ascii_serialization();
                    address = action;
                    self.http.post(address.clone()).header(ORIGIN, origin).form(&fields)
                }
            };
            response = self.send(request, &address).await?;
        }
        bail!("still not done after {MAX_STEPS} steps, at {address}")
    }

    /// Every cookie that this browser has been given, also those that are gone.
    pub fn every_cookie(&self) -> Vec<(String, String)> {
        self.seen.clone()
    }

    async fn send(&mut self, request: RequestBuilder, address: &Url) -> anyhow::Result<Response> {
        let host = address.host_str().context("an address without a host")?.to_owned();
        let held = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let held: Vec<_> = held.map(|((_, name), value)| format!("{name}={value}")).collect();
        let request = if held.is_empty() { request } else { request.header(COOKIE, held.join("; ")) };
        let response = request.send().await?;
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str()?;
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').with_context(|| format!("no cookie: {cookie}"))?;
            let key = (host.clone(), name.trim().to_owned());
            if attributes.split(';').any(|attribute| attribute.trim().eq_ignore_ascii_case("max-age=0")) {
                self.cookies.remove(&key);
            } else {
                self.seen.push((key.1.clone(), value.trim().to_owned()));
                self.cookies.insert(key, value.trim().to_owned());
            }
        }
        Ok(response)
    }

    /// What this person does on a page.
    fn read(&self, address: &Url, page: &str, user_code: &str) -> anyhow::Result<Step> {
        let page = Html::parse_document(page);
        if let Some(outcome) = first(&page, "#outcome")? {
            return Ok(Step::Done(outcome.attr("data-outcome").unwrap_or_default().to_owned()));
        }
        if let Some(refresh) = first(&page, "meta[http-equiv=refresh]")? {
            let content = refresh.attr("content").unwrap_or_default();
            let (_, url) = content
                .split_once("url=")
                .with_context(|| format!("a refresh without address: {content}"))?;
            return Ok(Step::Follow(address.join(url)?));
        }
        let filled_in = [
            ("input[type=password]", self.password.as_str()),
            ("input[name=user_code]", user_code),
            ("#authorize", ""),
        ];
        for (landmark, value) in filled_in {
            if let Some(element) = first(&page, landmark)? {
                return self.submit(address, element, value);
            }
        }
        bail!("a page without a way on")
    }

    /// The form around an element, with `value` in that element where it is a field.
    fn submit(&self, address: &Url, element: ElementRef<'_>, value: &str) -> anyhow::Result<Step> {
        let form =
            element.ancestors().filter_map(ElementRef::wrap).find(|around| around.value().name() == "form");
        let form = form.context("a field outside of a form")?;
        ensure!(
            form.attr("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
            "a form by GET"
        );
        let mut fields = Vec::new();
        for field in form.select(&selector("input[name]")?) {
            let name = field.attr("name").unwrap_or_default();
            let content = if field == element {
                value
            } else if name == "username" {
                &self.username
            } else {
                field.attr("value").unwrap_or_default()
            };
            fields.push((name.to_owned(), content.to_owned()));
        }
        // The first button is the one that Enter presses.
        if let Some(button) = form.select(&selector("button[name]")?).next() {
            let of = |name| button.attr(name).unwrap_or_default().to_owned();
            fields.push((of("name"), of("value")));
        }
        Ok(Step::Submit(address.join(form.attr("action").unwrap_or_default())?, fields))
    }
}

fn selector(text: &str) -> anyhow::Result<Selector> {
    Selector::parse(text).map_err(|problem| anyhow::anyhow!("{text}: {problem}"))
}

fn first<'a>(page: &'a Html, text: &str) -> anyhow::Result<Option<ElementRef<'a>>> {
    Ok(page.select(&selector(text)?).next())
}
