use std::time::Duration;

use anyhow::{Context as _, bail};
use url::Url;

use crate::{Browser, Entries, Step};

/// How many pages and redirects one approval may take.
const MAX_STEPS: usize = 40;

/// A person with a browser.
#[derive(Debug)]
pub struct Person {
    browser: Browser,
    username: String,
    password: String,
}

impl Person {
    /// A person with these credentials at the pool, and a fresh browser.
    pub fn new(username: &str, password: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self::with(http, username, password))
    }

    /// The same, who gets about by `http`; it must not follow redirects.
    pub fn with(http: reqwest::Client, username: &str, password: &str) -> Self {
        Self { browser: Browser::new(http), username: username.to_owned(), password: password.to_owned() }
    }

    /// Opens the address, signs in where asked, enters the code, presses Authorize, and returns what the last page says
    /// of the request.
    pub async fn approve(&mut self, address: &str, user_code: &str) -> anyhow::Result<String> {
        let mut step = Step::Follow(Url::parse(address)?);
        for _ in 0..MAX_STEPS {
            let page = self.browser.take(step).await?;
            if let Some(next) = page.leads_to()? {
                step = Step::Follow(next);
                continue;
            }
            if let Some(outcome) = page.outcome()? {
                return Ok(outcome);
            }
            let entries = Entries { username: &self.username, password: &self.password, user_code };
            step = page
                .filled_in(&entries)
                .transpose()
                .context("a page without a way on")
                .flatten()
                .with_context(|| format!("{} at {}:\n{}", page.status, page.address, page.text))?;
        }
        bail!("still not done after {MAX_STEPS} steps")
    }

    /// Every cookie that this browser has been given, also those that are gone.
    pub fn every_cookie(&self) -> Vec<(String, String)> {
        self.browser.every_cookie()
    }
}
