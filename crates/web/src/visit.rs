//! Who a browser's person is, by whichever way people sign in here.

use axum::http::{HeaderMap, HeaderName};
use device_grant_domain::balancer::{BalancerError, BalancerSignIn};
use device_grant_domain::pool::Account;

use crate::config::SignIn;
use crate::cookies::Cookies;
use crate::extract::Browser;
use crate::person::{Session, Visitor};
use crate::state::AppState;

const DATA: HeaderName = HeaderName::from_static("x-amzn-oidc-data");
const IDENTITY: HeaderName = HeaderName::from_static("x-amzn-oidc-identity");

/// Why there is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Nobody has signed in in this browser, or that was too long ago.
    SignedOut,
    /// The load balancer names nobody, or what it sent does not hold.
    NotByBalancer,
    /// What the load balancer sent cannot be checked now.
    Unavailable,
}

/// The person at `browser`.
pub(crate) async fn visitor(
    state: &AppState,
    browser: &Browser,
    cookies: &mut Cookies<'_>,
) -> Result<Visitor, Absence> {
    let (service, limits) = (&state.service, state.config.sessions);
    let session = Session::of(cookies, service.clock.now(), limits);
    let account = match &state.config.sign_in {
        SignIn::First => {
            let session = session.filter(|session| session.account.is_some()).ok_or(Absence::SignedOut)?;
            return Ok(Visitor::of(service, cookies, session));
        }
        SignIn::OnApproval => None,
        SignIn::Balancer(balancer) => Some(by_balancer(&**balancer, browser).await?),
    };
    Ok(match session.filter(|session| session.is_of(account.as_ref())) {
        Some(session) => Visitor::of(service, cookies, session),
        // A session of its own for whoever comes newly: forms of the one before do not count any more.
        None => Visitor::newly(service, cookies, Session::new(service, account, limits)),
    })
}

/// Anybody can write these headers; only one of our proxies passes on those of the balancer.
async fn by_balancer(balancer: &dyn BalancerSignIn, browser: &Browser) -> Result<Account, Absence> {
    let Some(data) = only(&browser.headers, &DATA) else {
        return Err(Absence::NotByBalancer);
    };
    if !browser.sender.proxied {
        tracing::warn!("a sign-in of the load balancer came from elsewhere than network.trusted_proxies");
        return Err(Absence::NotByBalancer);
    }
    balancer.account(data, only(&browser.headers, &IDENTITY)).await.map_err(|problem| {
        tracing::warn!(%problem, "nobody is signed in");
        match problem {
            BalancerError::Refused(_) => Absence::NotByBalancer,
            BalancerError::Unavailable(_) => Absence::Unavailable,
        }
    })
}

/// The value of a header that comes once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().filter(|value| !value.is_empty()),
        _ => None,
    }
}
