//! Guesses of user codes: reserved before the look-up, given back on a hit (RFC 8628 section 5.1).
//!
//! Counted in the store, so that all replicas share the limits, in windows of a code's life. Whoever guesses is cut off as
//! an account and as a browser session; nobody is cut off by what others have guessed.

use crate::audit::About;
use crate::ids::CounterKey;
use crate::network::Network;
use crate::service::DeviceGrant;
use crate::store::Unavailable;
use crate::time::Timestamp;

/// Guesses of user codes in one code life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuessLimits {
    /// By one account, and by one browser session in which somebody has signed in.
    pub per_account: u32,
    /// By all who come from one network: an IPv4 address or an IPv6 /64.
    pub per_network: u32,
    /// By one browser session in which nobody has signed in.
    pub per_browser: u32,
    /// By all in one network who have not signed in; an IPv6 network is a /48 here.
    pub strangers_per_network: u32,
}

impl GuessLimits {
    /// How many guesses can miss in one code life, by `accounts` accounts spread over `networks` networks: what each
    /// account may, or what the networks may and one more for each account.
    pub fn guesses(self, accounts: u64, networks: u64) -> u64 {
        let by_accounts = accounts.saturating_mul(self.per_account.into());
        let by_networks = networks.saturating_mul(self.per_network.into()).saturating_add(accounts);
        by_accounts.min(by_networks)
    }
}

/// Who enters a code. Each of the three is counted on its own (UC-06).
#[derive(Clone, Copy, Debug)]
pub struct Guesser<'a> {
    /// The account's id; `None` while nobody has signed in.
    pub account: Option<&'a str>,
    /// The browser session.
    pub session: &'a str,
    /// The network.
    pub network: Network,
}

impl<'a> Guesser<'a> {
    /// Adds this person to what the audit trail says.
    pub(crate) fn in_trail(self, about: About<'a>) -> About<'a> {
        About { network: Some(self.network), account: self.account, ..about }
    }
}

/// A reserved guess: the counters that it stands on.
#[derive(Debug, Default)]
pub(crate) struct Guess(Vec<CounterKey>);

impl DeviceGrant {
    /// Reserves a guess; `None` when the guesser has none left.
    ///
    /// A network's count refuses only those who have missed before: many people share a carrier's address, and one of them
    /// must not lock the others out (UC-07). So an account's first miss in a window passes though its network is full.
    pub(crate) async fn reserve_guess(
        &self,
        guesser: Guesser<'_>,
        now: Timestamp,
    ) -> Result<Option<Guess>, Unavailable> {
        let (limits, network) = (self.settings.guess_limits, guesser.network);
        let mut guess = Guess::default();
        let passes = if let Some(account) = guesser.account {
            self.reserve(&mut guess, ("account", account, limits.per_account), now).await?
                && self.reserve(&mut guess, ("session", guesser.session, limits.per_account), now).await?
                && (self
                    .reserve(&mut guess, ("network", &network.to_string(), limits.per_network), now)
                    .await?
                    || self.reserve(&mut guess, ("first", account, 1), now).await?)
        } else {
            // Sessions cost nothing, so without accounts all rests on the networks: counted wider, with fewer guesses.
            let strangers = ("strangers", network.wide(), limits.strangers_per_network);
            // The network first: a session of their own for each refusal would leave a counter in the store each.
            self.reserve(&mut guess, (strangers.0, &strangers.1, strangers.2), now).await?
                && self.reserve(&mut guess, ("browser", guesser.session, limits.per_browser), now).await?
        };
        if passes {
            return Ok(Some(guess));
        }
        self.give_back(guess).await;
        Ok(None)
    }

    /// Best effort: a guess that is not given back costs its person one of many.
    pub(crate) async fn give_back(&self, Guess(counters): Guess) {
        for counter in counters {
            if let Err(problem) = self.store.give_back(&counter).await {
                tracing::warn!(error = %problem, "a guess was not given back");
            }
        }
    }

    async fn reserve(
        &self,
        Guess(counters): &mut Guess,
        (kind, who, limit): (&str, &str, u32),
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        let life = self.settings.lifetime;
        let window = now.as_secs() / life.as_secs().max(1);
        let counter = CounterKey::guesses(kind, who, window, &self.keyring);
        let reserved = self.store.reserve(&counter, limit, now + life * 2).await?;
        if reserved {
            counters.push(counter);
        } else {
            tracing::warn!(kind, "the limit of guesses of user codes is reached");
        }
        Ok(reserved)
    }
}
