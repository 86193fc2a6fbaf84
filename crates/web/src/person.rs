//! The person at the browser: session, page and the tokens that tie forms to both.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::AttemptId;
use device_grant_domain::pool::Account;
use device_grant_domain::{DeviceGrant, Guesser, Network, Outcome, Purpose, RequestId, Timestamp, bytes};
use device_grant_protocol::UserCode;
use serde::{Deserialize, Serialize};

use crate::config::SessionLimits;
use crate::cookies::{Cookies, Kind};

/// A session's cookie is written anew at most this often, in seconds.
const TOUCHED_S: u64 = 60;
const CSRF_LABEL: &str = "csrf";
const CONFIRM_LABEL: &str = "confirm";

/// A browser's session. Its id is drawn anew at each sign-in (SEC-06).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    id: String,
    /// Who is signed in; nobody, where people sign in only after they have authorized.
    pub(crate) account: Option<Account>,
    ends_at: Timestamp,
    /// When the browser was last heard of, within a minute.
    seen_at: Timestamp,
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
    /// Which request this browser has looked at, so that it counts once.
    pub(crate) seen: Option<Seen>,
}

/// A look at a request that was counted.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) request: RequestId,
    /// Whose look: the account, or the session of a browser without one.
    pub(crate) who: String,
    /// Whether it was one of too many.
    pub(crate) many: bool,
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
    pub(crate) account: Option<Account>,
}

/// What a decision is about: exactly the request that was shown (UI-09).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) request: RequestId,
    pub(crate) user_code: UserCode,
    /// The code came by a link.
    pub(crate) linked: bool,
    /// More people have looked at it than there should be.
    pub(crate) seen_by_many: bool,
}

/// A person on a page of this browser.
pub(crate) struct Visitor {
    pub(crate) session: Session,
    page: String,
}

impl Session {
    pub(crate) fn new(service: &DeviceGrant, account: Option<Account>, limits: SessionLimits) -> Self {
        let now = service.clock.now();
        Self { id: random(service), account, ends_at: now + limits.life, seen_at: now }
    }

    /// The session of this browser, if there is one and neither of its limits has passed.
    pub(crate) fn of(cookies: &mut Cookies<'_>, now: Timestamp, limits: SessionLimits) -> Option<Self> {
        let session: Self = cookies.open(Kind::Session)?;
        if now >= session.ends_at || now.since(session.seen_at) >= limits.idle {
            return None;
        }
        if now.since(session.seen_at).as_secs() < TOUCHED_S {
            return Some(session);
        }
        let touched = Self { seen_at: now, ..session };
        cookies.seal(Kind::Session, &touched);
        Some(touched)
    }

    /// Whether this is the session of `account`, or of nobody in particular.
    pub(crate) fn is_of(&self, account: Option<&Account>) -> bool {
        let id = |account: &Account| account.id.clone();
        self.account.as_ref().map(id) == account.map(id)
    }
}

impl Visitor {
    /// The person of `session`. Sets the page cookie when this browser has none.
    pub(crate) fn of(service: &DeviceGrant, cookies: &mut Cookies<'_>, session: Session) -> Self {
        match cookies.open(Kind::Page) {
            Some(page) => Self { session, page },
            None => Self::newly(service, cookies, session),
        }
    }

    /// The person of a session that begins now. Nothing that was in the browser before is adopted (SEC-06).
    pub(crate) fn newly(service: &DeviceGrant, cookies: &mut Cookies<'_>, session: Session) -> Self {
        let page = random(service);
        cookies.seal(Kind::Session, &session);
        cookies.seal(Kind::Page, &page);
        Self { session, page }
    }

    /// The account, if the person has signed in.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.session.account.as_ref()
    }

    /// Whom the limits count.
    pub(crate) fn guesser(&self, network: Network) -> Guesser<'_> {
        let account = self.account().map(|account| account.id.as_str());
        Guesser { account, session: &self.session.id, network }
    }

    /// A name for whoever looks at a request.
    pub(crate) fn name(&self) -> &str {
        self.account().map_or(&self.session.id, |account| &account.id)
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
        let plaintext = serde_json::to_vec(shown).expect("plain data always serializes");
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
