//! The person at the browser: session, page and the tokens that tie forms to both.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::AttemptId;
use device_grant_domain::pool::Account;
use device_grant_domain::{DeviceGrant, Guesser, Outcome, Purpose, RequestId, Timestamp, bytes};
use device_grant_protocol::UserCode;
use serde::{Deserialize, Serialize};

use crate::cookies::{Cookies, Kind};
use crate::extract::Network;

/// A session ends after this, whatever happens.
pub(crate) const SESSION_LIFE: Duration = Duration::from_hours(1);
const CSRF_LABEL: &str = "csrf";
const CONFIRM_LABEL: &str = "confirm";

/// Who is signed in. Its id is drawn anew at each sign-in (SEC-06).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    id: String,
    pub(crate) account: Account,
    ends_at: Timestamp,
}

/// What was typed, kept over the trip to the pool.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// As it was typed, shortened.
    pub(crate) typed: String,
    /// It came with a link: the person is asked to compare it.
    pub(crate) prefilled: bool,
    /// The person wants another account: the pool is asked to let them sign in anew.
    pub(crate) fresh: bool,
}

/// Where the browser is sent on to.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Go {
    pub(crate) url: String,
    pub(crate) signing_out: bool,
}

/// What became of a decision, for the page on a clean URL.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) request: RequestId,
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) outcome: Outcome,
    pub(crate) client_name: Option<String>,
    pub(crate) account: Account,
}

/// What a decision is about: exactly the request that was shown (UI-09).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) request: RequestId,
    pub(crate) user_code: UserCode,
}

/// A signed-in person on a page of this browser.
pub(crate) struct Visitor {
    pub(crate) session: Session,
    page: String,
}

impl Session {
    pub(crate) fn new(service: &DeviceGrant, account: Account) -> Self {
        Self { id: random(service), account, ends_at: service.clock.now() + SESSION_LIFE }
    }
}

impl Visitor {
    /// The person, if signed in. Sets the page cookie when this browser has none.
    pub(crate) fn of(service: &DeviceGrant, cookies: &mut Cookies<'_>) -> Option<Self> {
        let session: Session = cookies.open(Kind::Session)?;
        if service.clock.now() >= session.ends_at {
            return None;
        }
        let page = cookies.open(Kind::Page).unwrap_or_else(|| {
            let page = random(service);
            cookies.seal(Kind::Page, &page);
            page
        });
        Some(Self { session, page })
    }

    /// Who guesses when this person enters a code from `network`.
    pub(crate) fn guesser<'a>(&'a self, Network(network): &'a Network) -> Guesser<'a> {
        Guesser { account: &self.session.account.id, session: &self.session.id, network }
    }

    /// The token of this person's forms.
    pub(crate) fn csrf(&self, service: &DeviceGrant) -> String {
        self.seal(service, CSRF_LABEL, b"")
    }

    /// Whether `token` was made for this person's forms in this browser.
    pub(crate) fn is_csrf(&self, service: &DeviceGrant, token: Option<&str>) -> bool {
        token.is_some_and(|token| self.open(service, CSRF_LABEL, token).is_some())
    }

    /// The token of a confirmation page: names what it showed.
    pub(crate) fn confirm_token(&self, service: &DeviceGrant, shown: &Shown) -> String {
        let plaintext = serde_json::to_vec(shown).expect("two strings always serialize");
        self.seal(service, CONFIRM_LABEL, &plaintext)
    }

    /// What the confirmation page showed that `token` was made for.
    pub(crate) fn confirmed(&self, service: &DeviceGrant, token: &str) -> Option<Shown> {
        serde_json::from_slice(&self.open(service, CONFIRM_LABEL, token)?).ok()
    }

    fn seal(&self, service: &DeviceGrant, label: &str, plaintext: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(service.keyring.seal(Purpose::Request, label, &self.aad(), plaintext))
    }

    fn open(&self, service: &DeviceGrant, label: &str, token: &str) -> Option<Vec<u8>> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        service.keyring.open(Purpose::Request, label, &self.aad(), &sealed).ok()
    }

    /// A token opens for this session in this browser only (UI-07).
    fn aad(&self) -> Vec<u8> {
        format!("{}\0{}", self.session.id, self.page).into_bytes()
    }
}

fn random(service: &DeviceGrant) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes::<16>(&*service.entropy))
}
