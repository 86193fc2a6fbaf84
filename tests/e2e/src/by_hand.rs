//! Somebody without a browser.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use url::Url;

use crate::Service;

/// Requests made by hand, with the cookies that the answers to earlier ones have set.
pub struct ByHand {
    http: reqwest::Client,
    /// By the name of the host and their own.
    cookies: BTreeMap<(String, String), String>,
}

/// An answer, followed nowhere.
#[derive(Debug)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Where it leads on to.
    pub location: Option<String>,
    /// The body.
    pub text: String,
}

impl ByHand {
    pub(crate) fn new(http: reqwest::Client) -> Self {
        Self { http, cookies: BTreeMap::new() }
    }

    /// Asks for a page.
    pub async fn get(&mut self, address: &str) -> anyhow::Result<Page> {
        self.send(address, self.http.get(address)).await
    }

    /// Sends a form.
    pub async fn post(&mut self, address: &str, form: &[(&str, &str)]) -> anyhow::Result<Page> {
        self.send(address, self.http.post(address).form(form)).await
    }

    /// Goes on a trip to the pool, signs in there as `name`, and returns where the pool sends a browser back to. That address
    /// is not opened: the code in it is fresh.
    pub async fn at_pool(&mut self, trip: &str, name: &str) -> anyhow::Result<Url> {
        let form = self.get(&format!("{trip}&detour=done")).await?;
        let action = attribute(&form.text, "action=\"").with_context(|| format!("no form: {form:?}"))?;
        let answer = self.post(&action, &[("username", name), ("password", name)]).await?;
        let back = answer.location.as_deref().with_context(|| format!("not signed in: {answer:?}"))?;
        Url::parse(back).with_context(|| back.to_owned())
    }

    /// Signs in at `service` as `name`.
    pub async fn sign_in(&mut self, service: &Service, name: &str) -> anyhow::Result<()> {
        let page = self.get(&format!("{}/device", service.origin())).await?;
        let trip = way_on(&page.text).with_context(|| format!("no way to the pool: {page:?}"))?;
        let back = self.at_pool(&trip, name).await?;
        let answer = self.get(back.as_str()).await?;
        if answer.location.as_deref() != Some("/device") {
            bail!("the sign-in did not work: {answer:?}");
        }
        Ok(())
    }

    /// Names and values of the cookies for `service`.
    pub fn cookies(&self, service: &Service) -> Vec<(String, String)> {
        let host = host(service.origin());
        let own = self.cookies.iter().filter(|((of, _), _)| *of == host);
        own.map(|((_, name), value)| (name.clone(), value.clone())).collect()
    }

    async fn send(&mut self, address: &str, request: RequestBuilder) -> anyhow::Result<Page> {
        let host = host(address);
        let own = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let pairs: Vec<_> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        let answer = request.header(COOKIE, pairs.join("; ")).send().await?;
        self.keep(&host, &answer);
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        Ok(Page {
            status: answer.status().as_u16(),
            location: location.map(str::to_owned),
            text: answer.text().await?,
        })
    }

    fn keep(&mut self, host: &str, answer: &Response) {
        let lines = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        for line in lines {
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let key = (host.to_owned(), name.to_owned());
            if line.contains("Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }
}

/// Where a page of ours sends a browser on to.
pub fn way_on(page: &str) -> Option<String> {
    attribute(page, "id=\"go-on\" href=\"")
}

/// What stands between `start` and the next quotation mark.
fn attribute(page: &str, start: &str) -> Option<String> {
    let value = page.split(start).nth(1)?.split('"').next()?;
    Some(value.replace("&amp;", "&").replace("&#x2f;", "/"))
}

fn host(address: &str) -> String {
    Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
