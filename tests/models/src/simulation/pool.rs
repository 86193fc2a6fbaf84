//! The user pool: codes that are good once and for a minute, and that take the first tokens along when they are used twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use device_grant_domain::pool::{
    Account, AuthorizeTrip, Exchange, ExchangeError, PoolClient, PoolFacts, PoolProblem, PoolTokens,
    RefreshError, RevokeError, UserPool,
};
use device_grant_protocol::{AccessToken, RefreshToken, Scope, TokenResponse};
use tokio::time::{Instant, sleep};
use url::Url;

use super::dice::Dice;
use super::faults::{Fault, Faults};
use super::judge::Judge;
use super::life::Life;

const CODE_LIFE: Duration = Duration::from_mins(1);
const TOKEN_LIFE_S: u64 = 3600;

/// The pool itself: one, whoever asks.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Ledger>);

#[derive(Default)]
struct Ledger {
    codes: BTreeMap<String, Code>,
    /// Refresh tokens, and whether they are good.
    tokens: BTreeMap<String, bool>,
}

struct Code {
    account: String,
    good_until: Instant,
    /// The refresh token that it was exchanged for.
    brought: Option<String>,
    /// Exchanges that are on their way.
    under_way: u32,
}

impl Pool {
    /// A person has signed in and approved: the code that their browser brings back.
    pub(crate) fn issue(&self, account: &str) -> String {
        let mut ledger = self.ledger();
        let code = format!("code-{}", ledger.codes.len());
        let good_until = Instant::now() + CODE_LIFE;
        let fresh = Code { account: account.to_owned(), good_until, brought: None, under_way: 0 };
        ledger.codes.insert(code.clone(), fresh);
        code
    }

    /// Whether a refresh token is good.
    pub(crate) fn is_good(&self, token: &str) -> bool {
        self.ledger().tokens.get(token).copied().unwrap_or_default()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().expect("nothing panics with the ledger open")
    }

    fn exchange(&self, code: &str) -> Result<PoolTokens, ExchangeError> {
        let mut ledger = self.ledger();
        let Ledger { codes, tokens } = &mut *ledger;
        let code = codes.get_mut(code).ok_or(ExchangeError::Refused)?;
        if let Some(first) = &code.brought {
            // RFC 6749 section 4.1.2: what the first use brought is revoked.
            tokens.insert(first.clone(), false);
            return Err(ExchangeError::Refused);
        }
        if Instant::now() > code.good_until {
            return Err(ExchangeError::Refused);
        }
        let refresh = format!("refresh-{}", tokens.len());
        tokens.insert(refresh.clone(), true);
        code.brought = Some(refresh.clone());
        let account = Account { id: code.account.clone(), name: code.account.clone(), detail: None };
        Ok(PoolTokens { response: response(refresh), account })
    }
}

fn response(refresh: String) -> TokenResponse {
    TokenResponse {
        access_token: AccessToken::new(format!("access-of-{refresh}")),
        token_type: "Bearer".to_owned(),
        expires_in: Some(TOKEN_LIFE_S),
        refresh_token: Some(RefreshToken::new(refresh)),
        id_token: None,
        scope: None,
    }
}

/// The pool as one replica reaches it.
pub(crate) struct PoolLink {
    pub(crate) pool: Arc<Pool>,
    pub(crate) life: Life,
    pub(crate) dice: Dice,
    pub(crate) faults: Arc<Faults>,
    pub(crate) judge: Arc<Judge>,
}

/// An exchange on its way. It ends with its answer, with the time-out that drops it, or with its replica.
struct UnderWay<'a> {
    link: &'a PoolLink,
    code: String,
}

impl<'a> UnderWay<'a> {
    fn begin(link: &'a PoolLink, code: &str) -> Self {
        let mut ledger = link.pool.ledger();
        if let Some(known) = ledger.codes.get_mut(code) {
            known.under_way += 1;
            if known.under_way > 1 {
                link.judge.violation(format!("two exchanges of {code} at once"));
            }
        }
        Self { link, code: code.to_owned() }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.link.pool.ledger().codes.get_mut(&self.code) {
            known.under_way -= 1;
        }
    }
}

impl PoolLink {
    /// How long a call takes, there and back.
    fn travel(&self) -> [Duration; 2] {
        let longest = if self.dice.in_thousand(self.faults.permille()) { 15_000 } else { 600 };
        [(); 2].map(|()| self.dice.time(Duration::from_millis(5)..Duration::from_millis(longest)))
    }

    async fn try_exchange(&self, code: &str) -> Result<PoolTokens, ExchangeError> {
        let away = |words: &str| Err(ExchangeError::Unreachable(words.to_owned()));
        let [there, back] = self.travel();
        if self.faults.pool_is_away() {
            sleep(there).await;
            return away("nobody listens");
        }
        let fault = self.faults.draw(&self.dice);
        let _under_way = UnderWay::begin(self, code);
        sleep(there).await;
        if fault == Some(Fault::Before) {
            return away("lost on the way there");
        }
        let answer = self.pool.exchange(code);
        sleep(back).await;
        if fault == Some(Fault::After) {
            return away("lost on the way back");
        }
        answer
    }

    fn try_refresh(&self, token: &RefreshToken) -> Result<TokenResponse, RefreshError> {
        if self.faults.pool_is_away() || self.faults.draw(&self.dice).is_some() {
            return Err(RefreshError::Unavailable("away".to_owned()));
        }
        if self.pool.is_good(token.expose()) {
            Ok(response(token.expose().to_owned()))
        } else {
            Err(RefreshError::Refused)
        }
    }

    fn try_revoke(&self, token: &str) -> Result<(), RevokeError> {
        if self.faults.pool_is_away() {
            return Err(RevokeError::Unavailable("away".to_owned()));
        }
        if let Some(good) = self.pool.ledger().tokens.get_mut(token) {
            *good = false;
        }
        Ok(())
    }
}

#[async_trait]
impl UserPool for PoolLink {
    async fn authorize_url(&self, _: AuthorizeTrip<'_>) -> Result<Url, PoolProblem> {
        Ok("https://pool.example/authorize".parse().expect("a constant URL"))
    }

    async fn is_from_pool(&self, _: Option<&str>) -> Result<bool, PoolProblem> {
        Ok(true)
    }

    async fn exchange(&self, exchange: Exchange<'_>) -> Result<PoolTokens, ExchangeError> {
        self.life.while_it_lasts(self.try_exchange(exchange.code.expose())).await
    }

    async fn refresh(
        &self,
        _: &PoolClient,
        token: &RefreshToken,
        _: Option<&Scope>,
    ) -> Result<TokenResponse, RefreshError> {
        self.life.while_it_lasts(async { self.try_refresh(token) }).await
    }

    async fn revoke(&self, _: &PoolClient, token: &str, _: Option<&str>) -> Result<(), RevokeError> {
        self.life.while_it_lasts(async { self.try_revoke(token) }).await
    }

    async fn end_session_url(&self, _: &PoolClient, _: &Url) -> Option<Url> {
        None
    }

    fn facts(&self) -> Result<PoolFacts, PoolProblem> {
        Ok(PoolFacts { revokes: true, pairwise_only: false })
    }

    fn trouble(&self) -> Option<PoolProblem> {
        None
    }
}
