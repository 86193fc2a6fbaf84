//! Devices and people without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::configuration::{CLIENTS, PEOPLE};
use crate::device::{Air, Device};
use crate::login::{Login, log_in};
use crate::person::Person;
use crate::world::Street;

/// After so many logins a person takes another browser, and signs in at the pool again.
const LOGINS_PER_BROWSER: usize = 3;

/// What devices do.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many log in at once.
    pub devices: usize,
    /// How often each refreshes its tokens after a login.
    pub refreshes: usize,
    /// Bad air, with the seed that decides what it does.
    pub bad_air: Option<u64>,
}

/// Some devices that log in, again and again, each with a person of its own.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    devices: JoinSet<anyhow::Result<Vec<Login>>>,
}

impl Load {
    /// Begins.
    pub fn start(street: &Arc<Street>, habits: Habits) -> Self {
        assert!(habits.devices <= PEOPLE, "each device needs a person");
        let over = Arc::new(AtomicBool::new(false));
        let mut devices = JoinSet::new();
        for number in 0..habits.devices {
            devices.spawn(go_on(Arc::clone(street), number, habits, Arc::clone(&over)));
        }
        Self { over, devices }
    }

    /// Begins no more logins, and waits for those that have begun.
    pub async fn end(mut self) -> anyhow::Result<Vec<Login>> {
        self.over.store(true, Ordering::Relaxed);
        let mut logins = Vec::new();
        while let Some(of_one) = self.devices.join_next().await {
            logins.extend(of_one.context("a device has panicked")??);
        }
        Ok(logins)
    }
}

async fn go_on(
    street: Arc<Street>,
    number: usize,
    habits: Habits,
    over: Arc<AtomicBool>,
) -> anyhow::Result<Vec<Login>> {
    let name = format!("person-{number}");
    let client = &CLIENTS[number % CLIENTS.len()];
    let mut person = Person::new(&name, street.http()?);
    let mut seed = habits.bad_air.map(|seed| seed.wrapping_add(number as u64));
    let mut logins = Vec::new();
    while !over.load(Ordering::Relaxed) {
        if logins.len() % LOGINS_PER_BROWSER == 0 {
            person = Person::new(&name, street.http()?);
        }
        let device = Device::new(street.television(client.id)?, seed.map_or_else(Air::still, Air::bad));
        logins.push(log_in(device, client, &mut person, habits.refreshes).await?);
        seed = seed.map(|seed| seed.wrapping_add(PEOPLE as u64));
    }
    Ok(logins)
}
