//! A browser that knows links, forms, redirects and cookies, and no script.

use std::collections::BTreeMap;

use anyhow::Context as _;
use reqwest::RequestBuilder;
use reqwest::header::{COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use url::Url;

use crate::Page;

/// Follows nothing by itself.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    /// By host and name. Ports share cookies, as in a browser.
    cookies: BTreeMap<(String, String), String>,
    /// Every value that a cookie has had.
    seen: Vec<(String, String)>,
}

/// What a person does on a page, or the page by itself.
#[derive(Clone, Debug)]
pub enum Step {
    /// Opens an address.
    Follow(Url),
    /// Sends a form of a page.
    Submit {
        /// The page.
        from: Url,
        /// Where the form goes.
        action: Url,
        /// Names and values.
        fields: Vec<(String, String)>,
    },
}

impl Browser {
    /// A fresh one. The client must not follow redirects.
    pub fn new(http: reqwest::Client) -> Self {
        Self { http, cookies: BTreeMap::new(), seen: Vec::new() }
    }

    /// Takes the step, and returns what comes.
    pub async fn take(&mut self, step: Step) -> anyhow::Result<Page> {
        match step {
            Step::Follow(address) => self.send(self.http.get(address.clone()), address).await,
            Step::Submit { from, action, fields } => {
                let request =
                    self.http.post(action.clone()).header(ORIGIN, from.origin().ascii_serialization());
                self.send(request.form(&fields), action).await
            }
        }
    }

    /// Every cookie that this browser has been given, also those that are gone.
    pub fn every_cookie(&self) -> Vec<(String, String)> {
        self.seen.clone()
    }

    async fn send(&mut self, request: RequestBuilder, address: Url) -> anyhow::Result<Page> {
        let host = address.host_str().context("an address without a host")?.to_owned();
        let held = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let held: Vec<_> = held.map(|((_, name), value)| format!("{name}={value}")).collect();
        let request = if held.is_empty() { request } else { request.header(COOKIE, held.join("; ")) };
        let response = request.send().await?;
        self.keep(&host, response.headers())?;
        let location = match response.headers().get(LOCATION) {
            Some(location) => Some(address.join(location.to_str()?)?),
            None => None,
        };
        let status = response.status().as_u16();
        Ok(Page { address, status, location, text: response.text().await? })
    }

    fn keep(&mut self, host: &str, headers: &HeaderMap) -> anyhow::Result<()> {
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str()?;
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').with_context(|| format!("no cookie: {cookie}"))?;
            let key = (host.to_owned(), name.trim().to_owned());
            if attributes.split(';').any(|attribute| attribute.trim().eq_ignore_ascii_case("max-age=0")) {
                self.cookies.remove(&key);
            } else {
                self.seen.push((key.1.clone(), value.trim().to_owned()));
                self.cookies.insert(key, value.trim().to_owned());
            }
        }
        Ok(())
    }
}
