use std::collections::BTreeSet;
use std::time::Duration;

use e2e::Authorization;
use interop::{Browser, Entries, Page, Step};
use url::Url;

/// How long somebody looks at a page that did not work before they try again.
const SIGH: Duration = Duration::from_secs(1);
/// How often in a row somebody reloads before they begin anew.
const RELOADS: u32 = 2;
/// How long somebody looks at the device when the code is not taken, and how often they enter it again. It may be in use by
/// an attempt of their own, whose outcome they have not seen.
const LOOK_AT_DEVICE: Duration = Duration::from_secs(4);
const MISSES: u32 = 8;

/// Somebody with a browser who wants the device connected: does what pages ask, and tries again when something does not
/// work.
#[derive(Debug)]
pub struct Person {
    name: String,
    /// What they look through.
    pub browser: Browser,
}

/// What somebody saw on the way.
#[derive(Debug, Default)]
pub struct Seen {
    /// What pages said of the request.
    pub outcomes: BTreeSet<String>,
    /// What the code page said last when a step had not worked.
    pub complaint: Option<String>,
    /// Answers that no person should see, or that did not come.
    pub troubles: Vec<String>,
}

impl Seen {
    /// Whether a page said that the device is connected.
    pub fn approved(&self) -> bool {
        self.outcomes.contains("approved")
    }
}

/// What follows from a page.
enum Next {
    Take(Step),
    /// After so long.
    Again(Duration, Step),
    Done,
}

impl Person {
    /// Somebody whose password is their name.
    pub fn new(name: &str, http: reqwest::Client) -> Self {
        Self { name: name.to_owned(), browser: Browser::new(http) }
    }

    /// The name at the pool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects the device, or gives up when told to begin again on it. What was seen is noted as it comes: the person may
    /// be called away.
    pub async fn approve(&mut self, device: &Authorization, seen: &mut Seen) -> anyhow::Result<()> {
        let home = Step::Follow(Url::parse(&device.verification_uri)?);
        self.go_on(home, device, seen).await
    }

    /// The same from the middle of the way.
    pub async fn go_on(
        &mut self,
        mut step: Step,
        device: &Authorization,
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let home = Step::Follow(Url::parse(&device.verification_uri)?);
        let (mut in_vain, mut misses) = (0, 0);
        loop {
            let next = match self.browser.take(step.clone()).await {
                Ok(page) => {
                    let complaint = page.complaint()?;
                    let next = self.read(&page, complaint.is_some(), (&home, &device.user_code), seen)?;
                    if complaint.is_some() {
                        misses += 1;
                        seen.complaint = complaint;
                    }
                    if misses > MISSES {
                        return Ok(());
                    }
                    next
                }
                Err(problem) => {
                    seen.troubles.push(format!("{problem:#}"));
                    None
                }
            };
            step = match next {
                Some(Next::Done) => return Ok(()),
                Some(Next::Take(next)) => {
                    in_vain = 0;
                    next
                }
                Some(Next::Again(pause, next)) => {
                    tokio::time::sleep(pause).await;
                    next
                }
                None => {
                    tokio::time::sleep(SIGH).await;
                    in_vain += 1;
                    // A form is not sent twice.
                    if matches!(step, Step::Follow(_)) && in_vain <= RELOADS { step } else { home.clone() }
                }
            };
        }
    }

    /// What this person does on a page; nothing when it is none of ours or the pool's.
    fn read(
        &self,
        page: &Page,
        complains: bool,
        (home, user_code): (&Step, &str),
        seen: &mut Seen,
    ) -> anyhow::Result<Option<Next>> {
        if page.status >= 400 {
            seen.troubles.push(format!("{} at {}", page.status, page.address.path()));
        }
        if let Some(next) = page.leads_to()? {
            return Ok(Some(Next::Take(Step::Follow(next))));
        }
        let action = page.action()?.map(Step::Follow);
        if let Some(outcome) = page.outcome()? {
            let over = ["approved", "denied", "expired", "taken"].contains(&outcome.as_str());
            seen.outcomes.insert(outcome);
            return Ok(Some(if over {
                Next::Done
            } else {
                Next::Again(SIGH, action.unwrap_or(home.clone()))
            }));
        }
        if let Some(action) = action {
            return Ok(Some(Next::Again(SIGH, action)));
        }
        let entries = Entries { username: &self.name, password: &self.name, user_code };
        let step = page.filled_in(&entries)?;
        Ok(step.map(|step| if complains { Next::Again(LOOK_AT_DEVICE, step) } else { Next::Take(step) }))
    }
}
