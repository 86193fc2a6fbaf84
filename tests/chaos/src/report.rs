//! What became of the logins.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use crate::device::End;
use crate::login::Login;
use crate::person::Seen;
use crate::world::Street;

/// The counts of a run, and what must not have happened.
#[derive(Debug, Default)]
pub struct Report {
    /// Logins that began.
    pub started: usize,
    /// Logins that ended with tokens.
    pub finished: usize,
    /// Devices and people that were told to begin again, by what they were told.
    pub refused: BTreeMap<String, usize>,
    /// Logins that were gone although no hand-over was ever written.
    pub lost: usize,
    /// Hand-overs that were written, and whose answer never reached the device: the requests, and what it heard before.
    pub answers_lost: Vec<String>,
    /// Polls that fetched the tokens of their code again.
    pub fetched_again: usize,
    /// Codes and tokens that were handed out more than once, or to somebody else.
    pub handed_out_twice: usize,
    /// Approvals that a person saw, without tokens and without a hand-over.
    pub approvals_lost: usize,
    /// The longest time from a start to tokens.
    pub longest: Duration,
    /// Answers that devices and people should not see, or that did not come.
    pub troubles: usize,
    /// What must not have happened, with what there is to know of it.
    pub violations: Vec<String>,
}

impl Report {
    /// Judges logins by what the device got, the person saw and the store holds.
    pub async fn of(logins: &[Login], street: &Street) -> anyhow::Result<Self> {
        let http = street.http()?;
        let mut report = Self { started: logins.len(), ..Self::default() };
        for login in logins {
            report.troubles += login.troubles.len() + login.seen.troubles.len();
            report.fetched_again += login.fetched_again();
            if login.brought_too_much() {
                report.handed_out_twice += 1;
                report.violation(login, "a code brought tokens twice");
            }
            match &login.end {
                End::Tokens(_) => {
                    report.finished += 1;
                    report.longest = report.longest.max(login.took);
                }
                End::Refused(error) => {
                    let state = street.stored_state(&http, &login.request).await?;
                    report.without_tokens(login, error, state.as_deref());
                }
            }
        }
        report.compare_tokens(logins)?;
        Ok(report)
    }

    /// Panics when something has happened that must not.
    pub fn assert_sound(&self) {
        assert!(self.violations.is_empty(), "{}", self.violations.join("\n"));
        assert!(self.finished > 0, "no login has ended with tokens");
    }

    fn without_tokens(&mut self, login: &Login, error: &str, state: Option<&str>) {
        let stored = state.unwrap_or("nothing");
        // Only what was handed over is `invalid_grant`. A replica that could not learn in time whether it had done so makes
        // the tokens wait again when it can, and the device may have heard it from another replica before.
        let taken_back = error == "invalid_grant" && stored == "approved";
        if stored == "redeemed" || taken_back {
            self.answers_lost
                .push(format!("{}: {stored}; before: {:?}", login.request, login.before_the_end));
            if login.client.redelivery_s > 0 {
                self.violation(login, "an answer was lost for good");
            }
            if !login.misses_an_answer() {
                self.violation(login, "a hand-over was written, and no answer can have been lost");
            }
        } else if login.seen.approved() {
            self.approvals_lost += 1;
            self.violation(login, &format!("the person saw the approval; stored: {stored}"));
        } else if error == "expired_token" && stored == "pending" {
            let Seen { outcomes, complaint, troubles } = &login.seen;
            let last = complaint.as_ref().or(troubles.last());
            let reason = format!("{error}; the person saw {outcomes:?}, and at last {last:?}");
            *self.refused.entry(reason).or_default() += 1;
        } else {
            self.lost += 1;
            self.violation(login, &format!("lost before the hand-over was written; stored: {stored}"));
        }
    }

    fn compare_tokens(&mut self, logins: &[Login]) -> anyhow::Result<()> {
        let mut seen = HashSet::new();
        for login in logins {
            let Some(tokens) = login.tokens() else { continue };
            if tokens.person()? != login.person || tokens.client()? != login.client.id {
                self.handed_out_twice += 1;
                self.violation(login, "a device got somebody else's tokens");
            }
            for name in ["access_token", "refresh_token"] {
                if !seen.insert(tokens.token(name).to_owned()) {
                    self.handed_out_twice += 1;
                    self.violation(login, "two devices got the same token");
                }
            }
        }
        Ok(())
    }

    fn violation(&mut self, login: &Login, what: &str) {
        let end = match &login.end {
            End::Tokens(_) => "tokens",
            End::Refused(error) => error,
        };
        self.violations.push(format!(
            "{what}: request {}, {} on {}; the end: {end}, before: {:?}; the person saw {:?}",
            login.request, login.person, login.client.id, login.before_the_end, login.seen.outcomes
        ));
    }
}

fn row(f: &mut fmt::Formatter<'_>, count: usize, what: &str) -> fmt::Result {
    writeln!(f, "{count:>7}  {what}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, self.started, "logins started")?;
        row(f, self.finished, "finished with tokens")?;
        row(f, self.refused.values().sum(), "told to start again")?;
        for (reason, count) in &self.refused {
            row(f, *count, &format!("  {reason}"))?;
        }
        row(
            f,
            self.answers_lost.len(),
            "handed over, the answer lost on the wire (shown by the store, each below)",
        )?;
        for answer in &self.answers_lost {
            writeln!(f, "           {answer}")?;
        }
        row(f, self.lost, "LOST before the hand-over was written")?;
        row(f, self.approvals_lost, "approvals that the person saw, without a hand-over")?;
        row(
            f,
            self.fetched_again,
            "polls that brought the tokens of their code again, in a redelivery window",
        )?;
        row(f, self.handed_out_twice, "handed out twice, or to somebody else")?;
        row(f, self.troubles, "answers that failed or did not come, seen by devices and people")?;
        writeln!(f, "{:>6.1}s  the longest a device waited for its tokens", self.longest.as_secs_f64())
    }
}
