use std::time::Duration;

use anyhow::anyhow;
use e2e::{Answer, Authorization, SCOPE, Television};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::login::Tokens;

/// RFC 8628 section 3.5.
const SLOWER: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// One with the answer that was lost, and those that came while nobody could tell.
const LAST_POLLS: usize = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// A device as RFC 8628 wants it, which nobody has told anything about this server.
pub struct Device {
    television: Television,
    air: Air,
    /// Answers that no device should see, or that did not come.
    pub troubles: Vec<String>,
    /// Answers to polls that were lost in the air.
    pub swallowed: u64,
    /// Every token set that a poll of the current code was answered with, those that were lost in the air included.
    pub brought: Vec<Tokens>,
    /// What became of each poll.
    polls: Vec<Heard>,
}

/// What lies between a device and the rest of the world.
#[derive(Debug)]
pub struct Air(Option<StdRng>);

impl Air {
    /// Everything gets through, once.
    pub fn still() -> Self {
        Self(None)
    }

    /// A poll in twenty arrives twice, and the answer to one in thirty not at all, as the seed decides.
    pub fn bad(seed: u64) -> Self {
        Self(Some(StdRng::seed_from_u64(seed)))
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.0.as_mut().is_some_and(|chance| chance.random_ratio(1, times))
    }
}

/// What became of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was answered, with this error or with tokens.
    Answer(String),
    /// It was not, or with nothing that RFC 8628 knows; why.
    Nothing(String),
}

/// How polling ended.
#[derive(Debug)]
pub enum End {
    /// With tokens.
    Tokens(Tokens),
    /// With this error.
    Refused(String),
}

impl Device {
    /// A device that talks like this.
    pub fn new(television: Television, air: Air) -> Self {
        Self { television, air, troubles: Vec::new(), swallowed: 0, brought: Vec::new(), polls: Vec::new() }
    }

    /// Asks for codes until it gets some.
    pub async fn start(&mut self) -> Authorization {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.television.start(SCOPE).await {
                Ok(authorization) => return authorization,
                Err(problem) => self.troubles.push(format!("start: {problem:#}")),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Polls until the answer is a final one (RFC 8628 section 3.5). Trouble is not: after it the device waits longer.
    pub async fn wait(&mut self, authorization: &Authorization) -> End {
        let (mut interval, mut pause) = (authorization.interval, Duration::ZERO);
        loop {
            tokio::time::sleep(interval + pause).await;
            let Some(answer) = self.poll(authorization).await else {
                pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                continue;
            };
            pause = Duration::ZERO;
            match answer.error() {
                "" => return End::Tokens(answer.body.into()),
                "authorization_pending" => {}
                "slow_down" => interval += SLOWER,
                error => return End::Refused(error.to_owned()),
            }
        }
    }

    /// One poll; nothing when there is no answer that RFC 8628 knows.
    pub async fn poll(&mut self, authorization: &Authorization) -> Option<Answer> {
        let mut answer = if self.air.one_in(20) {
            self.poll_twice(authorization).await
        } else {
            let answer = self.television.poll(authorization).await;
            self.note_tokens(&answer);
            answer
        };
        if self.air.one_in(30) {
            self.swallowed += 1;
            answer = Err(anyhow!("the answer is lost in the air"));
        }
        let answer = self.sound("poll", answer);
        self.polls.push(match (&answer, self.troubles.last()) {
            (Some(answer), _) => Heard::Answer(answer.error().to_owned()),
            (None, trouble) => Heard::Nothing(trouble.cloned().unwrap_or_default()),
        });
        answer
    }

    /// One poll that arrives twice, on two replicas. The device sees the answer with tokens; where there is none, the one
    /// that might have brought some: of a replica that failed, or could not tell yet.
    async fn poll_twice(&mut self, authorization: &Authorization) -> anyhow::Result<Answer> {
        let poll = || self.television.poll(authorization);
        let (first, second) = tokio::join!(poll(), poll());
        let rank = |answer: &anyhow::Result<Answer>| match answer {
            Ok(answer) if answer.status == 200 => 2,
            Ok(answer) if answer.status < 500 && answer.error() != "slow_down" => 0,
            _ => 1,
        };
        self.note_tokens(&first);
        self.note_tokens(&second);
        if rank(&second) > rank(&first) { second } else { first }
    }

    fn note_tokens(&mut self, answer: &anyhow::Result<Answer>) {
        if let Ok(answer) = answer
            && answer.status == 200
        {
            self.brought.push(answer.body.clone().into());
        }
    }

    /// Uses the tokens as long as devices do: refreshes them so often.
    pub async fn refresh_often(&mut self, tokens: &Tokens, times: usize) {
        let mut refresh_token = tokens.token("refresh_token").to_owned();
        for _ in 0..times {
            let answer = self.television.refresh(&refresh_token).await;
            let Some(answer) = self.sound("refresh", answer) else { return };
            match answer.body["refresh_token"].as_str() {
                Some(next) => next.clone_into(&mut refresh_token),
                None => self.troubles.push(format!("refresh: {}", answer.body)),
            }
        }
    }

    /// What became of the last polls, the very last excepted.
    pub fn before_the_end(&self) -> &[Heard] {
        let before = &self.polls[..self.polls.len().saturating_sub(1)];
        &before[before.len().saturating_sub(LAST_POLLS)..]
    }

    fn sound(&mut self, what: &str, answer: anyhow::Result<Answer>) -> Option<Answer> {
        let trouble = match answer {
            Ok(answer) if answer.status < 500 => return Some(answer),
            Ok(answer) => format!("{} {}", answer.status, answer.body),
            Err(problem) => format!("{problem:#}"),
        };
        self.troubles.push(format!("{what}: {trouble}"));
        None
    }
}
