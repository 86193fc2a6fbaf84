//! A device: it starts, shows the code, polls at the pace it is told, and takes each answer at its word.

use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::request::{RequestState, StateName};
use device_grant_domain::{Origin, PollOutcome, RequestId, Timestamp};
use device_grant_protocol::{DeviceAuthorizationResponse, DeviceCode};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::person;
use super::world::{LIFETIME, World, network};

/// Of a thousand polls, so many are the moment at which the person leaves the screen.
const LEAVING: u32 = 2;
/// How often a device tries to start before its person gives up.
const STARTS: u32 = 20;
/// A device that has heard no end for this long will never hear one.
const LONGEST: Duration = Duration::from_mins(40);
/// What is on its way when a device has heard its end arrives within this time.
const CALM: Duration = Duration::from_mins(2);

/// How a login ended for its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It has its tokens.
    Finished,
    /// It heard `access_denied`.
    Denied,
    /// It heard `expired_token`.
    Expired,
    /// It gave its code up.
    GaveUp,
    /// It heard `invalid_grant`: its tokens had left, and did not arrive.
    AnswerLost,
    /// Nobody answered its start.
    NeverStarted,
}

/// One login, from the start to its end.
pub(crate) async fn log_in(world: Arc<World>, number: u32) -> End {
    sleep(world.dice.time(Duration::ZERO..Duration::from_mins(5))).await;
    let Some(answer) = start(&world, number).await else { return End::NeverStarted };
    let id = RequestId::of(&answer.device_code);
    let mut people = JoinSet::new();
    let how_many = if world.dice.in_thousand(100) { 2 } else { 1 };
    for one in 0..how_many {
        people.spawn(person::visit(Arc::clone(&world), answer.user_code.clone(), number * 2 + one));
    }
    let ended = poll(&world, number, &answer, &id).await;
    // Whatever is still on its way may arrive: it must not change what was said.
    sleep(CALM).await;
    people.shutdown().await;
    let Some((end, at)) = ended else {
        world.judge.violation(format!("{id} never ends for its device"));
        return End::Expired;
    };
    judge(&world, &id, (end, at)).await;
    end
}

async fn start(world: &World, number: u32) -> Option<DeviceAuthorizationResponse> {
    let origin = Origin { network: network(number), device: None };
    for _ in 0..STARTS {
        let client = world.client(number);
        let answer =
            world.ask(async |service| service.start(&client, "".parse().ok()?, &origin, None).await.ok());
        if let Some(Some(answer)) = answer.await {
            return Some(answer);
        }
        sleep(world.dice.time(Duration::from_secs(1)..Duration::from_secs(10))).await;
    }
    None
}

/// Polls until there is an end, and says when that was.
async fn poll(
    world: &World,
    number: u32,
    answer: &DeviceAuthorizationResponse,
    id: &RequestId,
) -> Option<(End, Timestamp)> {
    let deadline = world.now() + LONGEST;
    let mut interval = answer.interval;
    while world.now() < deadline {
        let jitter = world.dice.time(Duration::ZERO..Duration::from_millis(300));
        sleep(Duration::from_secs(interval) + jitter).await;
        if world.dice.in_thousand(LEAVING) && give_up(world, number, &answer.device_code).await {
            return Some((End::GaveUp, world.now()));
        }
        match ask_once(world, number, &answer.device_code, id).await {
            Some(PollOutcome::SlowDown(slower)) => interval = slower.into(),
            Some(PollOutcome::Tokens(_)) => return Some((End::Finished, world.now())),
            Some(PollOutcome::Denied) => return Some((End::Denied, world.now())),
            Some(PollOutcome::Expired) => return Some((End::Expired, world.now())),
            Some(PollOutcome::InvalidGrant) => return Some((End::AnswerLost, world.now())),
            Some(PollOutcome::Pending | PollOutcome::Undecidable(_) | PollOutcome::ProofRefused(_))
            | None => {}
        }
    }
    None
}

/// Whether it is certain that the code was given up; else the device goes on.
async fn give_up(world: &World, number: u32, code: &DeviceCode) -> bool {
    let client = world.client(number);
    let told = world.ask(async |service| service.cancel(&client, code, None, network(number)).await.is_ok());
    told.await == Some(true)
}

async fn ask_once(world: &World, number: u32, code: &DeviceCode, id: &RequestId) -> Option<PollOutcome> {
    let client = world.client(number);
    world
        .ask(async |service| {
            let outcome = service.poll(&client, code, None, network(number)).await;
            if let PollOutcome::Tokens(tokens) = &outcome {
                // From here on they may get lost; they have left.
                let refresh = tokens.refresh_token.as_ref().expect("this pool always gives one");
                let (token, again) = (refresh.expose(), client.redelivery.is_some());
                world.judge.handed_over(id, (token, world.pool.is_good(token)), again);
            }
            outcome
        })
        .await
}

/// What a device was told must be what is the case.
async fn judge(world: &World, id: &RequestId, (end, at): (End, Timestamp)) {
    let Some(request) = world.store.present(id).await else {
        return world.judge.violation(format!("{id} ended {end:?} and is not there"));
    };
    let state = request.state.name();
    let fits = match end {
        End::Finished => state == StateName::Redeemed,
        End::AnswerLost => {
            state == StateName::Redeemed || state == StateName::Approved && !world.judge.was_handed_over(id)
        }
        End::Denied => state == StateName::Denied,
        End::GaveUp => {
            let decided = [StateName::Cancelled, StateName::Denied, StateName::Redeemed];
            decided.contains(&state) || at + Duration::from_secs(2) >= request.created_at + LIFETIME
        }
        End::Expired => match &request.state {
            RequestState::Approved(approval) => at + Duration::from_secs(2) >= approval.redeemable_until,
            RequestState::Redeemed(_) => false,
            // Given up, and its device did not hear of it.
            RequestState::Cancelled => true,
            _ => at + Duration::from_secs(2) >= request.created_at + LIFETIME,
        },
        End::NeverStarted => true,
    };
    if !fits {
        world.judge.violation(format!("{id} ended {end:?} for its device and is {state:?}"));
    }
    // What its own device gave up afterwards was there.
    if world.judge.was_promised(id)
        && !matches!(state, StateName::Approved | StateName::Redeemed | StateName::Cancelled)
    {
        world.judge.violation(format!("{id} was promised to its person and is {state:?}"));
    }
    if end == End::Expired && world.judge.was_promised(id) {
        world.faults.count("approval that its device could not fetch in time");
    }
    let kept_until = match &request.state {
        RequestState::Redeemed(Some(kept)) => Some(kept.until),
        _ => None,
    };
    // Skewed clocks may differ by two seconds.
    let could_come_again = kept_until.is_some_and(|until| at + Duration::from_secs(2) < until);
    if end == End::AnswerLost && world.judge.was_handed_over(id) && could_come_again {
        world.judge.violation(format!("{id} did not come again"));
    }
    if end == End::AnswerLost && !world.judge.was_handed_over(id) {
        // Somebody made them stay, a moment after the device was told that they were gone.
        let stay = kept_until.is_some_and(|until| at < until);
        match state {
            StateName::Redeemed if stay => world.faults.count("hand-over that was taken for done"),
            StateName::Redeemed if !world.judge.has_lost_its_replica(id) => {
                world.judge.violation(format!("{id} was handed over to nobody by a replica that lives"));
            }
            StateName::Redeemed => world.faults.count("hand-over that died with its replica"),
            // The device came back between the write and the next look at it, to another replica.
            _ => world.faults.count("hand-over that was taken for done"),
        }
    }
}
