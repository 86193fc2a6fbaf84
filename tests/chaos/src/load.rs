//! Devices and people without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::configuration::{CLIENTS, PEOPLE};
use crate::login::{Login, log_in};
use crate::person::Person;
use crate::world::Street;

/// After so many logins a person takes another browser, and signs in at the pool again.
const LOGINS_PER_BROWSER: usize = 3;

/// Some devices that log in, again and again, each with a person of its own.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    devices: JoinSet<anyhow::Result<Vec<Login>>>,
}

impl Load {
    /// Begins with so many devices at once. Each refreshes its tokens so often after a login.
    pub fn start(street: &Arc<Street>, devices: usize, refreshes: usize) -> Self {
        assert!(devices <= PEOPLE, "each device needs a person");
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for number in 0..devices {
            tasks.spawn(go_on(Arc::clone(street), number, refreshes, Arc::clone(&over)));
        }
        Self { over, devices: tasks }
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
    refreshes: usize,
    over: Arc<AtomicBool>,
) -> anyhow::Result<Vec<Login>> {
    let name = format!("person-{number}");
    let client = CLIENTS[number % CLIENTS.len()].id;
    let mut person = Person::new(&name, street.http()?);
    let mut logins = Vec::new();
    while !over.load(Ordering::Relaxed) {
        if logins.len() % LOGINS_PER_BROWSER == 0 {
            person = Person::new(&name, street.http()?);
        }
        let (mut login, mut device) = log_in(&street, client, &mut person).await?;
        let mut tokens = login.tokens();
        for _ in 0..refreshes {
            let Some(held) = &tokens else { break };
            let answer = device.refresh(held.token("refresh_token")).await;
            match answer.filter(|answer| answer.status == 200) {
                Some(answer) => tokens = Some(answer.body.into()),
                None => login.troubles.extend(device.troubles.last().cloned().or(Some("a refresh".into()))),
            }
        }
        logins.push(login);
    }
    Ok(logins)
}
