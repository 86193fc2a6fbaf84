//! Sealed cookies: what a browser carries for us, readable and writable by us alone.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum_extra::extract::cookie::{Cookie, SameSite};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_domain::{
    AttemptId, DeviceGrant, Purpose, RequestId, TRIP_LIFE, Timestamp, Trip, TripPurpose,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// No session can be set to last longer.
const LONGEST_SESSION: Duration = Duration::from_hours(1);
/// How many trips one browser may have open: several tabs work, the header stays small.
const MAX_TRIPS: usize = 5;

/// A session of an AWS load balancer is spread over up to this many cookies.
const BALANCER_COOKIES: usize = 4;

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Who is signed in.
    Session,
    /// A random value that ties forms to this browser.
    Page,
    /// What was typed, kept over the trip to the pool.
    Kept,
    /// Where to send the browser on to.
    Go,
    /// What became of the decision.
    Done,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "dg-session",
            Self::Page => "dg-page",
            Self::Kept => "dg-kept",
            Self::Go => "dg-go",
            Self::Done => "dg-done",
        }
    }

    const fn life_s(self) -> u64 {
        match self {
            Self::Session | Self::Page | Self::Done => LONGEST_SESSION.as_secs(),
            Self::Kept => TRIP_LIFE.as_secs(),
            Self::Go => 300,
        }
    }
}

/// How cookies are named here: `__Host-` wherever browsers accept it, which is everywhere but on plain http.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CookieNames {
    secure: bool,
}

impl CookieNames {
    pub(crate) const fn new(secure: bool) -> Self {
        Self { secure }
    }

    fn prefix(self) -> &'static str {
        if self.secure { "__Host-" } else { "" }
    }

    fn name(self, kind: Kind) -> String {
        format!("{}{}", self.prefix(), kind.name())
    }

    fn trip_prefix(self) -> String {
        format!("{}dg-a-", self.prefix())
    }
}

/// The cookies of one request, and what the answer does to them.
pub(crate) struct Cookies<'a> {
    names: CookieNames,
    service: &'a DeviceGrant,
    jar: Vec<Cookie<'static>>,
    changes: Vec<Cookie<'static>>,
}

impl<'a> Cookies<'a> {
    pub(crate) fn new(names: CookieNames, service: &'a DeviceGrant, headers: &HeaderMap) -> Self {
        Self { names, service, jar: jar(headers), changes: Vec::new() }
    }

    /// What the cookie `kind` holds; `None` when it is missing, foreign, changed or too old.
    pub(crate) fn open<T: DeserializeOwned>(&self, kind: Kind) -> Option<T> {
        let name = self.names.name(kind);
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(self.value(&name)?).ok()?;
        let opened = self.service.keyring.open(Purpose::Request, kind.name(), b"", &sealed).ok()?;
        let (ends_at, value): (Timestamp, T) = serde_json::from_slice(&opened).ok()?;
        (self.service.clock.now() < ends_at).then_some(value)
    }

    /// Sets the cookie `kind` to `value`.
    pub(crate) fn seal<T: Serialize>(&mut self, kind: Kind, value: &T) {
        let ends_at = self.service.clock.now() + Duration::from_secs(kind.life_s());
        let plaintext =
            serde_json::to_vec(&(ends_at, value)).expect("cookie values are plain data and serialize");
        let sealed = self.service.keyring.seal(Purpose::Request, kind.name(), b"", &plaintext);
        self.set(self.names.name(kind), BASE64_URL_SAFE_NO_PAD.encode(sealed), kind.life_s());
    }

    /// Removes the cookie `kind`.
    pub(crate) fn remove(&mut self, kind: Kind) {
        self.set(self.names.name(kind), String::new(), 0);
    }

    /// Ends the session that an AWS load balancer keeps in this browser, in as many cookies as it may need.
    pub(crate) fn remove_balancer_session(&mut self) {
        for number in 0..BALANCER_COOKIES {
            self.set(format!("AWSELBAuthSessionCookie-{number}"), String::new(), 0);
        }
    }

    /// The trip that a callback with `state` belongs to, if this browser made it.
    pub(crate) fn trip(&self, state: &str) -> Option<Trip> {
        let name = format!("{}{}", self.names.trip_prefix(), AttemptId::of_state(state));
        self.service.open_trip(state, self.value(&name)?)
    }

    /// This browser's trip for `request`, if it made one.
    pub(crate) fn attempt_for(&self, request: &RequestId) -> Option<AttemptId> {
        let prefix = self.names.trip_prefix();
        self.jar.iter().find_map(|cookie| {
            let attempt = AttemptId::from_stored(cookie.name().strip_prefix(&prefix)?);
            let trip = self.service.trip_of(&attempt, cookie.value())?;
            matches!(&trip.purpose, TripPurpose::Grant { request: of, .. } if of == request)
                .then_some(attempt)
        })
    }

    /// Keeps `trip` in this browser, and only the newest few beside it.
    pub(crate) fn keep_trip(&mut self, trip: &Trip) {
        let prefix = self.names.trip_prefix();
        let ends = |cookie: &Cookie<'_>| {
            let attempt = AttemptId::from_stored(cookie.name().strip_prefix(&prefix)?);
            Some(
                self.service
                    .trip_of(&attempt, cookie.value())
                    .map_or(Timestamp::default(), |trip| trip.ends_at),
            )
        };
        let mut others: Vec<(Timestamp, String)> =
            self.jar.iter().filter_map(|cookie| Some((ends(cookie)?, cookie.name().to_owned()))).collect();
        others.sort();
        let surplus = (others.len() + 1).saturating_sub(MAX_TRIPS);
        for (_, name) in others.drain(..surplus) {
            self.set(name, String::new(), 0);
        }
        self.set(format!("{prefix}{}", trip.attempt), self.service.seal_trip(trip), TRIP_LIFE.as_secs());
    }

    /// Puts the changes into `response`.
    pub(crate) fn apply(self, mut response: Response) -> Response {
        for cookie in &self.changes {
            let value = HeaderValue::from_str(&cookie.to_string())
                .expect("names and base64url values are visible ASCII");
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        response
    }

    /// The value of the cookie `name`. Two of one name count as none: one of them was planted (HI-11).
    fn value(&self, name: &str) -> Option<&str> {
        let mut named = self.jar.iter().filter(|cookie| cookie.name() == name);
        match (named.next(), named.next()) {
            (Some(cookie), None) => Some(cookie.value()),
            _ => None,
        }
    }

    fn set(&mut self, name: String, value: String, life_s: u64) {
        let life = i64::try_from(life_s).unwrap_or(i64::MAX);
        let cookie = Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(self.names.secure)
            // Lax, not Strict: the cookies must come along on the way back from the pool (SEC-05).
            .same_site(SameSite::Lax)
            .max_age(cookie::time::Duration::seconds(life))
            .build();
        self.changes.retain(|change| change.name() != cookie.name());
        self.changes.push(cookie);
    }
}

fn jar(headers: &HeaderMap) -> Vec<Cookie<'static>> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| Cookie::split_parse(line.to_owned())).filter_map(Result::ok).collect()
}
