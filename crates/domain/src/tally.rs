//! How many codes are live and how many guesses have missed, over all replicas: what decides how long new codes are.
//!
//! Each replica counts in its own memory and adds what is new to the store's counters every few seconds, so that neither a
//! start nor a miss costs a write of its own. An estimate is enough: a code that is over may still be counted as live.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::codes::{ANY_CODE_BITS, CodeFormat, GuessStrength, MAX_GROWTH};
use crate::ids::CounterKey;
use crate::service::DeviceGrant;
use crate::store::Unavailable;
use crate::time::Timestamp;

/// How often a replica shares its counts with the others.
pub const TALLY_PERIOD: Duration = Duration::from_secs(10);

/// The counts of this replica, and what the store said last of all replicas.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    issued: Count,
    missed: Count,
    groups: usize,
}

/// What decides how long new codes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guessing {
    /// Codes that are live, over all replicas.
    pub live_codes: u32,
    /// Guesses that have missed in the last code life, over all replicas.
    pub missed: u32,
    /// Groups by which new codes are longer than configured.
    pub longer_by: usize,
}

/// One count, in windows of a code's life.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Counted here, and not yet told to the store.
    unsent: u32,
    window: u64,
    /// All replicas, in this window.
    total: u64,
    /// All replicas, in the window before.
    before: u64,
}

impl Count {
    /// How many in the last code life: of the window before only the part that it reaches into.
    fn recent(&self, now: Timestamp, life: Duration) -> u64 {
        let (window, into) = place(now, life);
        let (total, before) = match window.saturating_sub(self.window) {
            0 => (self.total, self.before),
            1 => (0, self.total),
            _ => (0, 0),
        };
        let life = life.as_secs().max(1);
        u64::from(self.unsent) + total + before * (life - into) / life
    }
}

/// The window that `now` lies in, and how far into it, in seconds.
fn place(now: Timestamp, life: Duration) -> (u64, u64) {
    let life = life.as_secs().max(1);
    (now.as_secs() / life, now.as_secs() % life)
}

impl Tally {
    pub(crate) fn issued(&self) {
        self.lock().issued.unsent += 1;
    }

    pub(crate) fn missed(&self) {
        self.lock().missed.unsent += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceGrant {
    /// How user codes look that are issued now: longer by a group or two while more codes are live, or more guesses miss,
    /// than the configured length is good for (UC-07). Nobody is refused; codes that are out stay good.
    pub(crate) fn user_code_format(&self) -> CodeFormat {
        let format = &self.settings.user_code;
        if !self.settings.grow_user_codes {
            return format.clone();
        }
        let (codes, missed) = self.recent();
        let guesses = missed.max(self.settings.guess_limits.per_account);
        let is_enough = |groups: &usize| is_enough(&format.longer(*groups), guesses, codes);
        let groups = (0..=MAX_GROWTH).find(is_enough).unwrap_or(MAX_GROWTH);
        if std::mem::replace(&mut self.tally.lock().groups, groups) != groups {
            tracing::warn!(live = codes, missed, groups, "new user codes have another length");
        }
        format.longer(groups)
    }

    /// Whether more guesses miss than the configured length of codes is good for, whatever their number: somebody is
    /// guessing, and who approves shall show once more who they are (UC-07).
    pub(crate) fn is_under_attack(&self) -> bool {
        let (codes, missed) = self.recent();
        missed > self.settings.guess_limits.per_account && !is_enough(&self.settings.user_code, missed, codes)
    }

    /// What this replica last knew of guesses.
    pub fn guessing(&self) -> Guessing {
        let (live_codes, missed) = self.recent();
        Guessing { live_codes, missed, longer_by: self.tally.lock().groups }
    }

    /// How many codes are live and how many guesses have missed.
    fn recent(&self) -> (u32, u32) {
        let (now, life) = (self.now(), self.settings.lifetime);
        let counts = self.tally.lock();
        let recent = |count: &Count| u32::try_from(count.recent(now, life)).unwrap_or(u32::MAX);
        (recent(&counts.issued), recent(&counts.missed))
    }

    /// Shares this replica's counts with the others. To be called every [`TALLY_PERIOD`].
    pub async fn share_tally(&self) {
        let (window, _) = place(self.now(), self.settings.lifetime);
        let kinds: [(&str, Pick); 2] =
            [("issued", |counts| &mut counts.issued), ("missed", |counts| &mut counts.missed)];
        for (kind, pick) in kinds {
            let (unsent, seen) = {
                let mut counts = self.tally.lock();
                let count = pick(&mut counts);
                (std::mem::take(&mut count.unsent), *count)
            };
            match self.shared(kind, window, unsent, seen).await {
                Ok((total, before)) => {
                    let mut counts = self.tally.lock();
                    let count = pick(&mut counts);
                    *count = Count { window, total, before, unsent: count.unsent };
                }
                Err(problem) => {
                    tracing::debug!(error = %problem, kind, "a count was not shared");
                    pick(&mut self.tally.lock()).unsent += unsent;
                }
            }
        }
    }

    /// Adds what is new to the store's count of `window`; what it holds then, and what the window before held.
    async fn shared(
        &self,
        kind: &str,
        window: u64,
        unsent: u32,
        seen: Count,
    ) -> Result<(u64, u64), Unavailable> {
        let forget_at = self.now() + self.settings.lifetime * 3;
        let key = |window| CounterKey::tally(kind, window);
        let before = match window.saturating_sub(seen.window) {
            0 => seen.before,
            // This replica's first look at the window: the one before may have grown since its last look.
            _ => self.store.add(&key(window.saturating_sub(1)), 0, forget_at).await?,
        };
        Ok((self.store.add(&key(window), unsent, forget_at).await?, before))
    }
}

/// Whether codes of `format` withstand so many guesses while so many of them are live.
fn is_enough(format: &CodeFormat, guesses: u32, codes: u32) -> bool {
    GuessStrength::of(format, guesses, codes).any_code >= ANY_CODE_BITS
}

type Pick = fn(&mut Counts) -> &mut Count;
