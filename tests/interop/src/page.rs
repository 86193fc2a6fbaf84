use anyhow::{Context as _, ensure};
use scraper::{ElementRef, Html, Selector};
use url::Url;

use crate::Step;

/// What came to a browser.
#[derive(Debug)]
pub struct Page {
    /// Where it is.
    pub address: Url,
    /// The HTTP status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<Url>,
    /// The body.
    pub text: String,
}

/// What a person has to enter.
#[derive(Debug)]
pub struct Entries<'a> {
    /// The name at the pool.
    pub username: &'a str,
    /// The password there.
    pub password: &'a str,
    /// What the device shows.
    pub user_code: &'a str,
}

impl Page {
    /// Where it leads without anybody's doing: it is a redirect, or goes on by itself.
    pub fn leads_to(&self) -> anyhow::Result<Option<Url>> {
        if let Some(location) = &self.location {
            return Ok(Some(location.clone()));
        }
        let Some(content) = self.attribute("meta[http-equiv=refresh]", "content")? else { return Ok(None) };
        let (_, url) =
            content.split_once("url=").with_context(|| format!("a refresh without address: {content}"))?;
        Ok(Some(self.address.join(url)?))
    }

    /// What it says of a request, such as `approved`.
    pub fn outcome(&self) -> anyhow::Result<Option<String>> {
        self.attribute("#outcome", "data-outcome")
    }

    /// Where its one link leads, such as "try again".
    pub fn action(&self) -> anyhow::Result<Option<Url>> {
        let address = self.attribute("#action", "href")?;
        Ok(address.map(|address| self.address.join(&address)).transpose()?)
    }

    /// What it says where the last step did not work.
    pub fn complaint(&self) -> anyhow::Result<Option<String>> {
        let page = Html::parse_document(&self.text);
        let notice = page.select(&selector("#notice.notice-error")?).next();
        Ok(notice.map(|notice| notice.text().collect()))
    }

    /// The step of a person who does what the page asks: signs in, enters the code, presses Authorize.
    pub fn filled_in(&self, entries: &Entries<'_>) -> anyhow::Result<Option<Step>> {
        let filled_in = [
            ("input[type=password]", entries.password),
            ("input[name=user_code]", entries.user_code),
            ("#authorize", ""),
        ];
        let page = Html::parse_document(&self.text);
        for (landmark, value) in filled_in {
            if let Some(element) = page.select(&selector(landmark)?).next() {
                return self.submitted(element, value, entries.username).map(Some);
            }
        }
        Ok(None)
    }

    /// An attribute of the first element that fits.
    fn attribute(&self, landmark: &str, name: &str) -> anyhow::Result<Option<String>> {
        let page = Html::parse_document(&self.text);
        let element = page.select(&selector(landmark)?).next();
        Ok(element.map(|element| element.attr(name).unwrap_or_default().to_owned()))
    }

    /// The form around an element, with `value` in that element where it is a field.
    fn submitted(&self, element: ElementRef<'_>, value: &str, username: &str) -> anyhow::Result<Step> {
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
                username
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
        let action = self.address.join(form.attr("action").unwrap_or_default())?;
        Ok(Step::Submit { from: self.address.clone(), action, fields })
    }
}

fn selector(text: &str) -> anyhow::Result<Selector> {
    Selector::parse(text).map_err(|problem| anyhow::anyhow!("{text}: {problem}"))
}
