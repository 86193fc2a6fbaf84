//! A person with a browser: enters the code, decides, visits the pool, comes back, and reloads when nothing comes.

use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::pool::Account;
use device_grant_domain::request::DeviceRequest;
use device_grant_domain::{Entry, Guesser, OpenRequest, Outcome, RequestId, Trip};
use device_grant_protocol::{AuthorizationCode, UserCode};
use tokio::time::sleep;

use super::world::{World, network};

/// How often somebody does the same again when nothing comes of it.
const PATIENCE: u32 = 6;

/// What a person wants.
#[derive(Clone, Copy)]
enum Mind {
    Approve,
    Deny,
    Leave,
}

/// Somebody who reads `user_code` on a screen.
pub(crate) async fn visit(world: Arc<World>, user_code: UserCode, number: u32) {
    sleep(world.dice.time(Duration::from_secs(3)..Duration::from_mins(3))).await;
    let account = Account { id: format!("account-{number}"), name: format!("Ann {number}"), detail: None };
    let mind = match world.dice.below(100) {
        0..80 => Mind::Approve,
        80..90 => Mind::Deny,
        _ => Mind::Leave,
    };
    for _ in 0..3 {
        let Some((found, code)) = enter(&world, &user_code, &account, number).await else { return };
        sleep(world.dice.time(Duration::from_secs(1)..Duration::from_secs(20))).await;
        let outcome = match mind {
            Mind::Leave => return,
            Mind::Deny => deny(&world, &found.request.id).await,
            Mind::Approve => approve(&world, &found.request, &code, &account, number).await,
        };
        match outcome {
            Some(Outcome::Approved) => return world.judge.promised(&found.request.id),
            Some(Outcome::Denied | Outcome::Expired | Outcome::Taken) => return,
            Some(Outcome::Pending | Outcome::TryAgain | Outcome::AccountDiffers | Outcome::TooWeak)
            | None => {}
        }
    }
}

async fn enter(
    world: &World,
    user_code: &UserCode,
    account: &Account,
    number: u32,
) -> Option<(OpenRequest, UserCode)> {
    let session = format!("session-{number}");
    for _ in 0..PATIENCE {
        let guesser = Guesser { account: Some(&account.id), session: &session, network: network(number) };
        let entry = world.ask(async |service| service.enter(guesser, user_code.expose()).await);
        match entry.await {
            Some(Ok(Entry::Found { request, user_code })) => return Some((*request, user_code)),
            Some(Ok(Entry::NoMatch | Entry::TooMany)) => return None,
            Some(Err(_)) | None => breathe(world).await,
        }
    }
    None
}

async fn deny(world: &World, id: &RequestId) -> Option<Outcome> {
    for _ in 0..PATIENCE {
        match world.ask(async |service| service.deny(id).await).await {
            Some(Outcome::TryAgain) | None => breathe(world).await,
            decided => return decided,
        }
    }
    None
}

async fn approve(
    world: &Arc<World>,
    request: &DeviceRequest,
    code: &UserCode,
    account: &Account,
    number: u32,
) -> Option<Outcome> {
    let trip = depart(world, request, code, account, number).await?;
    sleep(world.dice.time(Duration::from_secs(1)..Duration::from_secs(90))).await;
    if world.dice.in_thousand(30) {
        return world.ask(async |service| service.refused_at_pool(&trip).await).await;
    }
    let code = world.pool.issue(&account.id);
    if world.dice.in_thousand(200) {
        // A browser that asks twice: neither waits for the other.
        let (world, trip, code) = (Arc::clone(world), trip.clone(), code.clone());
        tokio::spawn(async move {
            sleep(world.dice.time(Duration::ZERO..Duration::from_secs(3))).await;
            if let Some(Outcome::Approved) = come_back(&world, &trip, &code, number).await {
                promised(&world, &trip);
            }
        });
    }
    for _ in 0..PATIENCE {
        match come_back(world, &trip, &code, number).await {
            // The page says "in a moment", and is looked at again.
            Some(Outcome::Pending) | None => breathe(world).await,
            outcome => return outcome,
        }
    }
    Some(Outcome::Pending)
}

async fn depart(
    world: &World,
    request: &DeviceRequest,
    code: &UserCode,
    account: &Account,
    number: u32,
) -> Option<Trip> {
    for _ in 0..PATIENCE {
        let departed = world.ask(async |service| {
            let open = service.still_open(&request.id, code).await.ok()??;
            let who = (Some(account), network(number));
            service.depart_for_grant(&open.request, code.clone(), who).await.ok()
        });
        if let Some(Some((trip, _))) = departed.await {
            return Some(trip);
        }
        breathe(world).await;
    }
    None
}

async fn come_back(world: &World, trip: &Trip, code: &str, number: u32) -> Option<Outcome> {
    let code = AuthorizationCode::new(code);
    Some(world.ask(async |service| service.finish_grant(trip, code, network(number)).await).await?.0)
}

fn promised(world: &World, trip: &Trip) {
    if let device_grant_domain::TripPurpose::Grant { request, .. } = &trip.purpose {
        world.judge.promised(request);
    }
}

/// Until somebody tries again.
async fn breathe(world: &World) {
    sleep(world.dice.time(Duration::from_secs(1)..Duration::from_secs(12))).await;
}
