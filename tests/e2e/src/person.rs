//! A person with a browser.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use device_grant_testkit::parts;
use serde_json::Value;
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::prelude::*;
use url::Url;

use crate::Authorization;

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser window of its own profile.
pub struct Person {
    driver: WebDriver,
    chromedriver: u16,
    story: String,
    pictures: AtomicUsize,
}

impl Person {
    pub(crate) async fn start(chromedriver: u16, public_key_hash: &str, story: &str) -> anyhow::Result<Self> {
        let mut wishes = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--no-proxy-server",
            // A phone.
            "--window-size=420,900",
            "--host-resolver-rules=MAP *.test 127.0.0.1",
        ] {
            wishes.add_arg(argument)?;
        }
        wishes.add_arg(&format!("--ignore-certificate-errors-spki-list={public_key_hash}"))?;
        // What the browser asks for, and where.
        wishes.set_logging_prefs("performance", LoggingPrefsLogLevel::All)?;
        let driver = WebDriver::new(format!("http://127.0.0.1:{chromedriver}"), wishes).await?;
        Ok(Self { driver, chromedriver, story: story.to_owned(), pictures: AtomicUsize::new(0) })
    }

    /// The browser itself.
    pub fn browser(&self) -> &WebDriver {
        &self.driver
    }

    /// Goes to an address.
    pub async fn open(&self, address: &str) -> anyhow::Result<()> {
        self.driver.goto(address).await.with_context(|| format!("the browser cannot open {address}"))
    }

    /// What the address bar says.
    pub async fn address(&self) -> anyhow::Result<Url> {
        Ok(self.driver.current_url().await?)
    }

    /// Fills in Keycloak's sign-in form.
    pub async fn sign_in(&self, name: &str) -> anyhow::Result<()> {
        self.find("#username").await?.send_keys(name).await?;
        self.find("#password").await?.send_keys(name).await?;
        self.picture("pool").await?;
        self.click("#kc-login").await
    }

    /// Types the code and goes on to the page that asks for the decision.
    pub async fn enter_code(&self, user_code: &str) -> anyhow::Result<()> {
        let field = self.find("input[name=user_code]").await?;
        field.clear().await?;
        field.send_keys(user_code).await?;
        self.picture("code").await?;
        self.click("#continue").await?;
        self.find("#authorize").await?;
        self.picture("confirm").await
    }

    /// Opens the page that a device names, signs in at the pool as `name`, and enters the code that the device shows.
    pub async fn enter_code_as(&self, name: &str, shown: &Authorization) -> anyhow::Result<()> {
        self.open(&shown.verification_uri).await?;
        self.sign_in(name).await?;
        self.enter_code(&shown.user_code).await
    }

    /// Presses a button or follows a link.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        self.find(selector).await?.click().await.with_context(|| format!("{selector} cannot be pressed"))
    }

    /// Presses a button or follows a link, and waits until the page that had it is gone: whoever goes elsewhere next would
    /// otherwise race with what the press began.
    pub async fn click_and_leave(&self, selector: &str) -> anyhow::Result<()> {
        let pressed = self.find(selector).await?;
        pressed.click().await.with_context(|| format!("{selector} cannot be pressed"))?;
        let gone = pressed.wait_until().wait(PATIENCE, Duration::from_millis(100)).stale().await;
        gone.with_context(|| format!("{selector} leads nowhere"))
    }

    /// What the last page says of the request: `approved`, `denied`, ….
    pub async fn outcome(&self) -> anyhow::Result<String> {
        let outcome = self.find("#outcome").await?.attr("data-outcome").await?;
        self.picture("outcome").await?;
        outcome.context("the page shows an outcome without naming it")
    }

    /// The text of an element.
    pub async fn text(&self, selector: &str) -> anyhow::Result<String> {
        Ok(self.find(selector).await?.text().await?)
    }

    /// Waits for an element.
    pub async fn find(&self, selector: &str) -> anyhow::Result<WebElement> {
        let found =
            self.driver.query(By::Css(selector)).wait(PATIENCE, Duration::from_millis(100)).first().await;
        if let Ok(element) = found {
            return Ok(element);
        }
        self.picture("lost").await?;
        let address = self.driver.current_url().await?;
        bail!("no {selector} on {address}:\n{}", self.driver.source().await?)
    }

    /// Waits until the address bar shows an address that starts so.
    pub async fn arrive_at(&self, start: &str) -> anyhow::Result<Url> {
        for _ in 0..PATIENCE.as_millis() / 100 {
            let address = self.address().await?;
            if address.as_str().starts_with(start) {
                return Ok(address);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.picture("lost").await?;
        let address = self.address().await?;
        ensure!(address.as_str().starts_with(start), "the browser is at {address}, not at {start}");
        Ok(address)
    }

    /// The addresses that the browser has asked for since this was last called, in all of its tabs.
    pub async fn asked_for(&self) -> anyhow::Result<Vec<String>> {
        let mut addresses = Vec::new();
        for entry in self.driver.get_log("performance").await? {
            let entry: Value = serde_json::from_str(&entry.message).context("a line of the browser's log")?;
            let message = &entry["message"];
            if message["method"] == "Network.requestWillBeSent" {
                let address = message["params"]["request"]["url"].as_str().context("a request to nowhere")?;
                addresses.push(address.to_owned());
            }
        }
        Ok(addresses)
    }

    /// What a script on the page returns.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        Ok(self.driver.execute(script, Vec::new()).await?.json().clone())
    }

    /// Names and values of the cookies that the browser would send with a request for the page.
    pub async fn cookies(&self) -> anyhow::Result<Vec<(String, String)>> {
        let cookies = self.driver.get_all_cookies().await?;
        Ok(cookies.into_iter().map(|cookie| (cookie.name, cookie.value)).collect())
    }

    /// Opens addresses in new tabs, all at the same moment, and returns the tabs.
    pub async fn open_at_once(&self, addresses: &[String]) -> anyhow::Result<Vec<WindowHandle>> {
        let before = self.driver.windows().await?;
        let open = "for (const address of arguments[0]) window.open(address);";
        self.driver.execute(open, vec![serde_json::to_value(addresses)?]).await?;
        for _ in 0..PATIENCE.as_millis() / 100 {
            let mut tabs = self.driver.windows().await?;
            tabs.retain(|tab| !before.contains(tab));
            if tabs.len() == addresses.len() {
                return Ok(tabs);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the browser opens no tabs")
    }

    /// Takes a picture of the page into `target/screenshots`.
    pub async fn picture(&self, of: &str) -> anyhow::Result<()> {
        let directory = parts::target().join("screenshots");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let number = self.pictures.fetch_add(1, Ordering::Relaxed);
        let file: PathBuf = directory.join(format!("{}-{number:02}-{of}.png", self.story));
        let ready = "const done = arguments[0]; document.fonts.ready.then(() => done(true));";
        self.driver.execute_async(ready, Vec::new()).await?;
        Ok(self.driver.screenshot(&file).await?)
    }

    /// Closes the browser.
    pub async fn leave(self) -> anyhow::Result<()> {
        Ok(self.driver.clone().quit().await?)
    }
}

/// A test that fails leaves its browser open. Left to itself the driver would close it, and wait for two minutes.
impl Drop for Person {
    fn drop(&mut self) {
        if self.driver.clone().leak().is_err() {
            return;
        }
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.chromedriver)) else { return };
        let (session, port) = (self.driver.session_id(), self.chromedriver);
        let request = format!(
            "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        );
        // What does not work now, the end of the chromedriver does.
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut [0; 64]));
    }
}
