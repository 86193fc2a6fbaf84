//! Who writes to a request: callbacks, polls and a person who says no, step by step.

use std::time::Duration;

use device_grant_domain::request::{DeviceRequest, Refusal, RequestState, Standing, StateName, Transition};
use device_grant_domain::{AttemptId, OpId};

use super::{Protocol, Stored, TICK, World, at};

/// How often a write is tried whose fate is not known. In production more often; to the others that only looks like more time.
const TRIES: u8 = 1;
/// How long a call to the pool may take, in ticks.
const EXCHANGE: u8 = 1;
/// How far clocks may differ, in ticks: what the clock of replica 1 is ahead.
const SKEW: u8 = 1;
/// A lease, in ticks: the exchange, and the clocks apart.
const LEASE: u8 = EXCHANGE + SKEW;

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Brings the code of a trip back from the pool.
    Callback(u8),
    /// Polls once.
    Poll,
    /// Says no.
    Deny,
    /// Gives the code up, as the device.
    Cancel,
}

/// Where somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Worker {
    /// Has not begun.
    Waiting,
    /// Is about to send a write.
    Writing(Box<Pending>),
    /// Looks up what became of a write.
    Checking(Box<Pending>),
    /// Waits for the pool.
    Exchanging(Box<Exchange>),
    /// Has ended, one way or the other.
    Done,
}

/// A write that somebody is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    write: Transition,
    /// The request that it was computed from.
    from: Stored,
    aim: Aim,
    tries_left: u8,
}

/// A code on its way to the pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    claimed: Stored,
    trip: u8,
    since: u8,
}

/// What a write is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Aim {
    /// To exchange the code of this trip.
    Lease(u8),
    /// To keep the tokens of this trip.
    Approve(u8),
    /// To open the request again.
    Release,
    /// To open it again because the tokens of this trip could not be kept.
    OpenAgain(u8),
    /// To hand the tokens of this trip over.
    Redeem(u8),
    /// To make tokens wait again of which it is not known whether the write of that name consumed them.
    KeepWaiting(OpId),
    /// To say no.
    Deny,
    /// To give the code up, and the tokens of this trip that wait, if some do.
    Cancel(Option<u8>),
}

/// A step, or a mishap in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// All goes well.
    On,
    /// The call is lost on the way there.
    LostBefore,
    /// The call is done, and its answer is lost.
    LostAfter,
    /// The call is given up, and done later.
    Late,
}

impl Step {
    pub(crate) fn is_fault(self) -> bool {
        self != Self::On
    }
}

impl Role {
    /// The trip that it is about.
    pub(crate) fn trip(self) -> Option<u8> {
        match self {
            Self::Callback(trip) => Some(trip),
            Self::Poll | Self::Deny | Self::Cancel => None,
        }
    }
}

impl Worker {
    pub(crate) fn is_busy(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Done)
    }

    pub(crate) fn steps(&self, faults: bool) -> &'static [Step] {
        match self {
            Self::Done => &[],
            Self::Writing(_) if faults => &[Step::On, Step::LostBefore, Step::LostAfter, Step::Late],
            Self::Exchanging(_) if faults => &[Step::On, Step::LostBefore, Step::LostAfter],
            _ => &[Step::On],
        }
    }
}

impl Protocol {
    /// Worker `number` takes its next step.
    pub(crate) fn step(&self, world: &mut World, number: usize, step: Step) {
        let before = std::mem::replace(&mut world.workers[number], Worker::Done);
        world.workers[number] = match before {
            Worker::Waiting => self.begin(world, number),
            Worker::Writing(pending) => self.send_write(world, number, pending, step),
            Worker::Checking(pending) => {
                if world.stored.version != pending.write.expects_version {
                    self.settle(world, number, &pending)
                } else if pending.tries_left > 0 {
                    Worker::Writing(pending)
                } else {
                    give_up(world, number, pending)
                }
            }
            Worker::Exchanging(exchange) => exchanged(world, number, &exchange, step),
            Worker::Done => Worker::Done,
        };
    }

    /// A tick has passed: an exchange that takes longer is given up.
    pub(crate) fn time_out(world: &mut World, number: usize) {
        if let Worker::Exchanging(exchange) = &world.workers[number]
            && world.now >= exchange.since + EXCHANGE
        {
            Self::die(world, number);
        }
    }

    /// Whatever worker `number` was about ends here.
    pub(crate) fn die(world: &mut World, number: usize) {
        if let Worker::Exchanging(exchange) = &world.workers[number] {
            world.codes[usize::from(exchange.trip)].under_way -= 1;
        }
        world.workers[number] = Worker::Done;
    }

    /// Reads the request and decides.
    fn begin(&self, world: &mut World, number: usize) -> Worker {
        let request = world.stored.request();
        let now = at(clock(number, world));
        let lease = (now, TICK * LEASE.into());
        match self.roles[number] {
            Role::Callback(trip) => {
                let attempt = attempt(trip);
                if request.was_claimed_by(&attempt) {
                    // A repeated callback hears what became of the first.
                    let latest = request.spent.last() == Some(&attempt);
                    let kept = matches!(request.state.name(), StateName::Approved | StateName::Redeemed);
                    world.promised |= latest && kept && request.standing(now) != Standing::Expired;
                    return Worker::Done;
                }
                let claim = request.claim(&attempt, vec![trip], lease, op(number, "claim"));
                begin_write(&request, claim, Aim::Lease(trip))
            }
            Role::Deny => begin_write(&request, request.deny(now, op(number, "deny")), Aim::Deny),
            Role::Cancel => {
                let waits = match &request.state {
                    RequestState::Approved(approval) => Some(approval.sealed[0]),
                    _ => None,
                };
                begin_write(&request, request.cancel(now, op(number, "cancel")), Aim::Cancel(waits))
            }
            Role::Poll => match (&request.state, request.standing(now)) {
                (RequestState::Approved(approval), Standing::Redeemable) => {
                    let aim = Aim::Redeem(approval.sealed[0]);
                    let redeem = request.redeem_keeping(now, window(self.window), op(number, "redeem"));
                    begin_write(&request, redeem, aim)
                }
                (RequestState::Redeemed(Some(kept)), Standing::Redeliverable) => {
                    // Nothing is written: the answer is on its way.
                    world.handed_over.push(kept.sealed[0]);
                    if world.now > world.window_ends + SKEW {
                        world.broken = Some("tokens left after their window");
                    }
                    Worker::Done
                }
                (RequestState::Authorized(claim), Standing::Abandoned) => {
                    let aim = Aim::Lease(claim.sealed[0]);
                    begin_write(&request, request.take_over(lease, op(number, "take over")), aim)
                }
                _ => Worker::Done,
            },
        }
    }

    fn send_write(&self, world: &mut World, number: usize, pending: Box<Pending>, step: Step) -> Worker {
        match step {
            Step::On => match world.write(&pending.write) {
                Ok(()) => self.written(world, number, &pending),
                Err(()) => self.settle(world, number, &pending),
            },
            Step::LostBefore => Worker::Checking(less_one(pending)),
            Step::LostAfter => {
                // The answer, whichever it was, is lost.
                let _ = world.write(&pending.write);
                Worker::Checking(less_one(pending))
            }
            Step::Late => {
                world.late.push(pending.write.clone());
                Worker::Checking(less_one(pending))
            }
        }
    }

    /// A write has taken effect.
    fn written(&self, world: &mut World, number: usize, pending: &Pending) -> Worker {
        match pending.aim.clone() {
            Aim::Lease(trip) => {
                let claimed = pending.from.request().after(&pending.write);
                return send_code(world, number, claimed, trip);
            }
            Aim::Approve(_) => world.promised |= matches!(self.roles[number], Role::Callback(_)),
            Aim::Redeem(trip) => {
                world.handed_over.push(trip);
            }
            Aim::OpenAgain(trip) | Aim::Cancel(Some(trip)) => world.codes[usize::from(trip)].alive = false,
            Aim::Release | Aim::Deny | Aim::Cancel(None) | Aim::KeepWaiting(_) => {}
        }
        Worker::Done
    }

    /// Something else stands there than the write expected: the write's own doing, or somebody else's.
    fn settle(&self, world: &mut World, number: usize, pending: &Pending) -> Worker {
        let kept_by_us = world.stored.fence == pending.write.fence
            && matches!(world.stored.state.name(), StateName::Approved | StateName::Redeemed);
        match pending.aim.clone() {
            _ if world.stored.op == pending.write.op => self.written(world, number, pending),
            Aim::Approve(_) if kept_by_us => self.written(world, number, pending),
            Aim::OpenAgain(_) if kept_by_us => Worker::Done,
            Aim::Approve(trip) | Aim::OpenAgain(trip) => {
                world.codes[usize::from(trip)].alive = false;
                Worker::Done
            }
            Aim::KeepWaiting(_) => keep_waiting(world, number, pending),
            _ => Worker::Done,
        }
    }
}

fn window(ticks: u8) -> Option<Duration> {
    (ticks > 0).then(|| TICK * ticks.into())
}

/// The clock of the replica that worker `number` is at.
fn clock(number: usize, world: &World) -> u8 {
    world.now + if number % 2 == 1 { SKEW } else { 0 }
}

/// Looks at the time that is left of the lease, and sends the code.
fn send_code(world: &mut World, number: usize, claimed: DeviceRequest, trip: u8) -> Worker {
    let RequestState::Authorized(claim) = &claimed.state else { return Worker::Done };
    if at(clock(number, world)) + TICK * (EXCHANGE + SKEW).into() > claim.lease_until {
        return Worker::Done;
    }
    let code = &mut world.codes[usize::from(trip)];
    code.under_way += 1;
    code.sent_under.push(claimed.fence);
    Worker::Exchanging(Box::new(Exchange { claimed: Stored::of(claimed), trip, since: world.now }))
}

/// The pool's answer, or that there is none.
fn exchanged(world: &mut World, number: usize, exchange: &Exchange, step: Step) -> Worker {
    let now = at(clock(number, world));
    let code = &mut world.codes[usize::from(exchange.trip)];
    code.under_way -= 1;
    if step == Step::LostBefore {
        return Worker::Done;
    }
    let refused = code.used;
    // A second use takes along what the first has brought.
    code.alive = !refused;
    code.used = true;
    if step == Step::LostAfter {
        return Worker::Done;
    }
    let request = exchange.claimed.request();
    if refused {
        return begin_write(&request, request.release(request.fence, op(number, "release")), Aim::Release);
    }
    let approve = request.approve(request.fence, vec![exchange.trip], now, op(number, "approve"));
    code.alive = approve.is_ok();
    begin_write(&request, approve, Aim::Approve(exchange.trip))
}

/// Nothing is known of the write. Tokens are kept as long as the lease lasts; then the request is opened again.
fn give_up(world: &mut World, number: usize, pending: Box<Pending>) -> Worker {
    if let Aim::Redeem(_) | Aim::KeepWaiting(_) = pending.aim {
        return keep_waiting(world, number, &pending);
    }
    let (Aim::Approve(trip), RequestState::Authorized(claim)) = (pending.aim.clone(), &pending.from.state)
    else {
        return Worker::Done;
    };
    if at(clock(number, world)) < claim.lease_until {
        return Worker::Writing(Box::new(Pending { tries_left: 1, ..*pending }));
    }
    let request = pending.from.request();
    begin_write(&request, request.release(request.fence, op(number, "open again")), Aim::OpenAgain(trip))
}

/// Nothing is known of a hand-over, and nothing has left.
fn keep_waiting(world: &World, number: usize, pending: &Pending) -> Worker {
    let write = match &pending.aim {
        Aim::KeepWaiting(write) => write.clone(),
        _ => pending.write.op.clone(),
    };
    let present = world.stored.request();
    let kept = present.keep_waiting(&pending.from.request(), &write, op(number, "keep waiting"));
    match kept {
        Some(kept) => Worker::Writing(Box::new(Pending {
            write: kept,
            from: pending.from.clone(),
            aim: Aim::KeepWaiting(write),
            tries_left: 1,
        })),
        None => Worker::Done,
    }
}

fn begin_write(request: &DeviceRequest, computed: Result<Transition, Refusal>, aim: Aim) -> Worker {
    match computed {
        Ok(write) => {
            let from = Stored::of(request.clone());
            Worker::Writing(Box::new(Pending { write, from, aim, tries_left: TRIES }))
        }
        Err(_) => Worker::Done,
    }
}

fn less_one(pending: Box<Pending>) -> Box<Pending> {
    Box::new(Pending { tries_left: pending.tries_left - 1, ..*pending })
}

fn attempt(trip: u8) -> AttemptId {
    AttemptId::from_stored(trip.to_string())
}

fn op(number: usize, what: &str) -> OpId {
    OpId::from_stored(format!("{what} {number}"))
}
