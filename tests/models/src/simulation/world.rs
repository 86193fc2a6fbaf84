//! One world: three replicas, one store, one pool, and a wire between everybody that loses things.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use device_grant_domain::client::{
    ClientAuth, ClientKeys, Clients, DeviceClient, KeysUnavailable, PoolBinding,
};
use device_grant_domain::jws::KeySet;
use device_grant_domain::{Clock, DeviceGrant, KeyMaterial, Keyring, Network, Ports, Settings, Timestamp};
use device_grant_protocol::ClientSecret;
use device_grant_testkit::{SeededEntropy, device_client, public_pool_client, settings};
use tokio::time::{Instant, sleep};
use url::Url;

use super::dice::Dice;
use super::faults::Faults;
use super::judge::Judge;
use super::life::Life;
use super::pool::{Pool, PoolLink};
use super::wire::{SharedStore, StoreLink};

/// Odd devices are of the client whose tokens can be fetched again.
const CLIENTS: [&str; 2] = ["tv", "box"];
/// For how long they can: longer than the pace of a device that was slowed down a few times.
const WINDOW: Duration = Duration::from_secs(45);
/// How long codes live here.
pub(crate) const LIFETIME: Duration = Duration::from_mins(10);
const REPLICAS: u32 = 3;
/// How far each clock is off, either way: together as much as the settings allow.
const SKEW_MS: u32 = 1000;
const START: Timestamp = Timestamp::from_secs(1_767_225_600);

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) faults: Arc<Faults>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) store: Arc<SharedStore>,
    pub(crate) pool: Arc<Pool>,
    began: Instant,
    keys: [KeyMaterial; 2],
    clients: Arc<Clients>,
    settings: Settings,
    /// Each place has its replica, or is waiting for the next one.
    replicas: Mutex<Vec<Option<Replica>>>,
}

#[derive(Clone)]
struct Replica {
    service: Arc<DeviceGrant>,
    life: Life,
}

/// A clock of its own for each replica.
struct SkewedClock {
    began: Instant,
    ahead: Duration,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        START + self.began.elapsed() + self.ahead
    }
}

/// No client here signs itself in.
struct NoKeys;

#[async_trait::async_trait]
impl ClientKeys for NoKeys {
    async fn keys(&self, _: &Url, _: Option<&Arc<KeySet>>) -> Result<Option<Arc<KeySet>>, KeysUnavailable> {
        Err(KeysUnavailable("no client publishes keys here".to_owned()))
    }
}

impl World {
    /// A world in which of a thousand calls `permille` go wrong.
    pub(crate) fn new(seed: u64, permille: u32) -> Arc<Self> {
        let entropy = SeededEntropy::new(seed);
        let secret = ClientAuth::secret(&ClientSecret::new("secret"), false);
        let [tv, other] =
            CLIENTS.map(|id| device_client(id, secret.clone(), PoolBinding::Own(public_pool_client(id))));
        let other = DeviceClient { redelivery: Some(WINDOW), ..other };
        let service_client = public_pool_client("service");
        let world = Self {
            dice: Dice::of(seed),
            faults: Arc::new(Faults::new(permille)),
            judge: Arc::default(),
            store: Arc::default(),
            pool: Arc::default(),
            began: Instant::now(),
            keys: Keyring::fresh_material(&entropy),
            clients: Arc::new([tv, other].into_iter().collect()),
            settings: Settings {
                lifetime: LIFETIME,
                ..settings("https://login.example.com", service_client)
            },
            replicas: Mutex::default(),
        };
        let replicas = (0..REPLICAS).map(|_| Some(world.replica())).collect();
        *world.replicas.lock().expect("nobody else is here yet") = replicas;
        Arc::new(world)
    }

    /// The client of device `number`, as whoever authenticated it found it.
    pub(crate) fn client(&self, number: u32) -> Arc<DeviceClient> {
        let id = CLIENTS[number as usize % 2].parse().expect("a good client_id");
        self.clients.find(&id, Timestamp::default()).expect("it is there")
    }

    /// What an exact clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        START + self.began.elapsed() + Duration::from_millis(SKEW_MS.into())
    }

    /// Lets some replica do `work`; nothing, if it cannot be reached, dies meanwhile, or if its answer is lost.
    pub(crate) async fn ask<T>(&self, work: impl AsyncFnOnce(Arc<DeviceGrant>) -> T) -> Option<T> {
        sleep(self.dice.time(Duration::from_millis(1)..Duration::from_millis(80))).await;
        let place = self.dice.below(REPLICAS) as usize;
        let replica =
            self.replicas.lock().expect("nothing panics with the replicas in hand")[place].clone()?;
        let answer = replica.life.unless_it_ends(work(Arc::clone(&replica.service))).await?;
        if self.dice.in_thousand(self.faults.permille() / 4) {
            self.faults.count("answer of a replica lost");
            return None;
        }
        Some(answer)
    }

    /// Kills replicas and puts new ones in their places, for as long as the world lasts.
    pub(crate) async fn crashes(&self) {
        loop {
            sleep(self.dice.time(Duration::from_secs(2)..Duration::from_mins(3))).await;
            if !self.dice.in_thousand(self.faults.permille() * 10) {
                continue;
            }
            let place = self.dice.below(REPLICAS) as usize;
            let gone = self.replicas.lock().expect("nothing panics with the replicas in hand")[place].take();
            if let Some(replica) = gone {
                replica.life.end();
                self.faults.count("crash of a replica");
            }
            sleep(self.dice.time(Duration::from_millis(100)..Duration::from_secs(30))).await;
            let next = self.replica();
            self.replicas.lock().expect("nothing panics with the replicas in hand")[place] = Some(next);
        }
    }

    fn replica(&self) -> Replica {
        let life = Life::default();
        let ahead = Duration::from_millis(self.dice.below(2 * SKEW_MS).into());
        let (dice, faults, judge) = (self.dice.clone(), Arc::clone(&self.faults), Arc::clone(&self.judge));
        let store = StoreLink {
            store: Arc::clone(&self.store),
            life: life.clone(),
            dice: dice.clone(),
            faults: Arc::clone(&faults),
            judge: Arc::clone(&judge),
        };
        let pool = PoolLink { pool: Arc::clone(&self.pool), life: life.clone(), dice, faults, judge };
        let ports = Ports {
            store: Arc::new(store),
            records: self.store.memory.clone(),
            pool: Arc::new(pool),
            client_keys: Arc::new(NoKeys),
            clock: Arc::new(SkewedClock { began: self.began, ahead }),
            entropy: Arc::new(SeededEntropy::new(self.dice.seed())),
            observer: Arc::new(()),
        };
        let keyring = Keyring::new(self.keys.clone()).expect("fresh keys make a keyring");
        let clients = Arc::clone(&self.clients);
        let service = DeviceGrant::new(ports, Arc::new(keyring), clients, self.settings.clone());
        Replica { service: Arc::new(service), life }
    }
}

/// Where person `number` is.
pub(crate) fn network(number: u32) -> Network {
    Network::of(Ipv4Addr::from(number + (10 << 24)).into())
}
