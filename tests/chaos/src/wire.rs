//! The way of one replica to the store, which can be disturbed.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest delay of a call.
const LONGEST_DELAY_MS: u64 = 2_500;

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mood {
    /// Every call arrives, and every answer.
    Calm,
    /// Every other answer is late.
    Slow,
    /// Every other connection ends before the call has gone on.
    DropCalls,
    /// Every other connection ends when a write is done, without its answer.
    LoseAnswers,
    /// No connection gets anywhere.
    Refuse,
}

impl Mood {
    /// What it does to a call that it hits.
    fn fault(self) -> &'static str {
        match self {
            Self::Calm => "none",
            Self::Slow => "an answer of the store late",
            Self::DropCalls => "a call to the store cut off before it was done",
            Self::LoseAnswers => "the answer of the store lost, the write done",
            Self::Refuse => "a connection to the store refused",
        }
    }
}

/// A TCP proxy before `DynamoDB` Local.
#[derive(Clone, Debug)]
pub struct Wire {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    chance: StdRng,
    faults: BTreeMap<&'static str, u64>,
}

impl Wire {
    /// A calm one to the server at `store` (`host:port`). It runs, on a thread of its own, until the process ends.
    pub fn start(store: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port for the way to the store")?;
        listener.set_nonblocking(true)?;
        let state = State { mood: Mood::Calm, chance: StdRng::seed_from_u64(0), faults: BTreeMap::new() };
        let wire = Self { address: listener.local_addr()?, state: Arc::new(Mutex::new(state)) };
        let (own, store) = (wire.clone(), store.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Not on the runtime of whoever asks: that may be a test's, which ends with it.
        thread::spawn(move || runtime.block_on(own.listen(listener, &store)));
        Ok(wire)
    }

    /// What the configuration calls `store.endpoint_url`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on the way is so.
    pub fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// From now on `seed` decides which calls are hit, and what goes wrong is counted from nought.
    pub fn begin(&self, seed: u64) {
        let mut state = self.state();
        state.chance = StdRng::seed_from_u64(seed);
        state.faults.clear();
    }

    /// What has gone wrong here, and how often.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.state().faults.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self, listener: TcpListener, store: &str) {
        let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
        loop {
            if let Ok((client, _)) = listener.accept().await {
                let (wire, store) = (self.clone(), store.to_owned());
                // Whoever goes away in the middle is what this is about.
                tokio::spawn(async move { wire.carry(client, &store).await });
            }
        }
    }

    /// Carries calls and answers until either side goes away, or a fault ends the connection.
    async fn carry(&self, mut client: TcpStream, store: &str) -> io::Result<()> {
        if self.state().mood == Mood::Refuse {
            self.note(Mood::Refuse);
            return Ok(());
        }
        let mut server = TcpStream::connect(store).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        while let Some(call) = message(&mut client).await? {
            let fault = self.draw(&call);
            match fault {
                Mood::DropCalls | Mood::Refuse => return Ok(()),
                Mood::Slow => {
                    let ms = self.state().chance.random_range(0..LONGEST_DELAY_MS);
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                Mood::Calm | Mood::LoseAnswers => {}
            }
            server.write_all(&call).await?;
            let Some(answer) = message(&mut server).await? else { return Ok(()) };
            if fault == Mood::LoseAnswers {
                return Ok(());
            }
            client.write_all(&answer).await?;
        }
        Ok(())
    }

    /// What happens to a call.
    fn draw(&self, call: &[u8]) -> Mood {
        let mut state = self.state();
        let mood = state.mood;
        let spared = match mood {
            Mood::Calm => true,
            Mood::Refuse => false,
            Mood::LoseAnswers if !is_write(call) => true,
            Mood::Slow | Mood::DropCalls | Mood::LoseAnswers => state.chance.random_bool(0.5),
        };
        drop(state);
        if spared {
            return Mood::Calm;
        }
        self.note(mood);
        mood
    }

    fn note(&self, mood: Mood) {
        *self.state().faults.entry(mood.fault()).or_default() += 1;
    }
}

/// One HTTP message with a length; nothing when the connection ends before it.
async fn message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let length = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4 + body_length(&bytes[..end]);
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    while bytes.len() < length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// Whether it changes an item.
fn is_write(call: &[u8]) -> bool {
    let head = String::from_utf8_lossy(call).to_ascii_lowercase();
    ["updateitem", "putitem"].iter().any(|operation| head.contains(&format!("dynamodb_20120810.{operation}")))
}

fn body_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| *name == "content-length");
    length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}
