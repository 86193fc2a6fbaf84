//! The life of one request, with everybody who writes to it, for a model checker: every order of their steps, with writes
//! that are lost on either way or arrive late, replicas that die between two steps, and clocks that differ.
//!
//! The decisions are the production ones: [`DeviceRequest`]'s own transitions, on what a worker has read. Around them stands
//! what `domain::commit` and `domain::exchange` do: a write whose fate is not known is looked up, and a lease is looked at
//! before a code is sent.

mod worker;

use std::time::Duration;

use device_grant_domain::mailbox::MailboxKey;
use device_grant_domain::request::{DeviceRequest, RequestState, Standing, StateName, Transition};
use device_grant_domain::{AttemptId, OpId, RequestId, Timestamp};
use stateright::{Model, Property};

use crate::revives;
pub use worker::{Role, Step, Worker};

/// The unit of time: [`device_grant_domain::request::REDEEM_GRACE`] is one of them.
const TICK: Duration = Duration::from_secs(5);
/// The codes' life, in ticks.
const LIFE: u8 = 4;
/// When everything is over, in ticks.
const END: u8 = LIFE + 3;

/// Who takes part, and how much may go wrong.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Who takes part. Even ones are at replica 0, odd ones at replica 1, whose clock is a tick ahead.
    pub roles: Vec<Role>,
    /// Calls to store and pool that may be lost or late.
    pub faults: u8,
    /// Workers that may die.
    pub crashes: u8,
    /// For how many ticks tokens can be fetched again; 0: not at all.
    pub window: u8,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Ticks since the codes were issued.
    pub now: u8,
    /// What the store holds.
    pub stored: Stored,
    /// Writes that their senders have given up and that may still arrive.
    pub late: Vec<Transition>,
    /// Where everybody is.
    pub workers: Vec<Worker>,
    /// The pool's codes, one for each trip.
    pub codes: Vec<Code>,
    /// The trips whose tokens have left.
    pub handed_over: Vec<u8>,
    /// A person was told that the device has its tokens.
    pub promised: bool,
    /// What must not happen and is seen at once.
    pub broken: Option<&'static str>,
    /// When tokens that were handed over cannot be fetched any more, by the store's clock.
    window_ends: u8,
    window: u8,
    faults: u8,
    crashes: u8,
}

/// The parts of a request that transitions change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    version: u64,
    op: OpId,
    fence: u64,
    spent: Vec<AttemptId>,
    state: RequestState,
}

/// One code of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Code {
    /// It was exchanged for tokens.
    pub used: bool,
    /// Those tokens are good.
    pub alive: bool,
    /// Exchanges under way.
    pub under_way: u8,
    /// Fences under which it was sent.
    pub sent_under: Vec<u64>,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A tick passes.
    Tick,
    /// A late write arrives.
    Arrival(usize),
    /// Somebody takes their next step.
    Step(usize, Step),
    /// Somebody dies.
    Crash(usize),
}

impl Stored {
    fn of(request: DeviceRequest) -> Self {
        let DeviceRequest { version, op, fence, spent, state, .. } = request;
        Self { version, op, fence, spent, state }
    }

    /// As the production code sees it.
    pub(crate) fn request(&self) -> DeviceRequest {
        DeviceRequest {
            id: RequestId::from_stored("model"),
            client_id: "tv".parse().expect("a good client_id"),
            asked_scope: "".parse().expect("a good scope"),
            scope: "openid".parse().expect("a good scope"),
            created_at: at(0),
            expires_at: at(LIFE),
            interval: 0,
            counted_from: None,
            mailbox: MailboxKey::from_bytes([0; 32]),
            dpop_jkt: None,
            origin: Vec::new(),
            version: self.version,
            op: self.op.clone(),
            fence: self.fence,
            spent: self.spent.clone(),
            state: self.state.clone(),
        }
    }
}

/// The moment of `tick`.
pub(crate) fn at(tick: u8) -> Timestamp {
    Timestamp::from_secs(1_767_225_600) + TICK * u32::from(tick)
}

impl World {
    /// A conditional write arrives at the store.
    pub(crate) fn write(&mut self, transition: &Transition) -> Result<(), ()> {
        if self.stored.op == transition.op {
            return Ok(());
        }
        if (self.stored.state.name(), self.stored.version) != (transition.expects, transition.expects_version)
        {
            return Err(());
        }
        if revives(&self.stored.state, &transition.becomes, !self.handed_over.is_empty()) {
            self.broken = Some("a decided request came back to life");
        }
        if matches!(transition.becomes, RequestState::Redeemed(Some(_))) {
            // Whoever could not tell whether they had left leaves them there as long as they would have waited.
            self.window_ends = if is_kept(&transition.op) { LIFE } else { 0 }.max(self.now + self.window);
        }
        self.stored = Stored::of(self.stored.request().after(transition));
        Ok(())
    }

    /// The code whose tokens the mailbox holds.
    fn waiting_code(&self) -> Option<&Code> {
        match &self.stored.state {
            RequestState::Approved(approval) => self.codes.get(usize::from(*approval.sealed.first()?)),
            _ => None,
        }
    }
}

impl Protocol {
    /// What must be possible, or the model shows nothing.
    fn possibilities(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::sometimes("a device gets its tokens", |_, world: &World| !world.handed_over.is_empty()),
            Property::sometimes("a poll takes an exchange over, and it brings tokens", |_, world: &World| {
                world.stored.fence > 1 && world.stored.spent.len() == 1 && world.waiting_code().is_some()
            }),
        ];
        if self.roles.contains(&Role::Cancel) {
            properties.push(Property::sometimes("waiting tokens are given up", |_, world: &World| {
                world.promised && world.stored.state.name() == StateName::Cancelled
            }));
        }
        if self.roles.contains(&Role::Deny) {
            properties.push(Property::sometimes("a request is denied", |_, world: &World| {
                world.stored.state.name() == StateName::Denied
            }));
        }
        if self.window > 0 {
            properties.push(Property::sometimes("tokens are fetched again", |_, world: &World| {
                world.handed_over.len() > 1
            }));
        }
        if trips(&self.roles) > 1 {
            properties.push(Property::sometimes(
                "a second trip succeeds where the first did not",
                |_, world: &World| world.stored.spent.len() > 1 && world.waiting_code().is_some(),
            ));
        }
        properties
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let stored = Stored {
            version: 1,
            op: OpId::from_stored("issue"),
            fence: 0,
            spent: Vec::new(),
            state: RequestState::Pending,
        };
        vec![World {
            now: 0,
            stored,
            late: Vec::new(),
            workers: vec![Worker::Waiting; self.roles.len()],
            codes: vec![Code::default(); usize::from(trips(&self.roles))],
            handed_over: Vec::new(),
            promised: false,
            broken: None,
            window_ends: 0,
            window: self.window,
            faults: self.faults,
            crashes: self.crashes,
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        if world.now < END {
            events.push(Event::Tick);
        }
        events.extend((0..world.late.len()).map(Event::Arrival));
        for (number, worker) in world.workers.iter().enumerate() {
            events.extend(worker.steps(world.faults > 0).iter().map(|step| Event::Step(number, *step)));
            if world.crashes > 0 && worker.is_busy() {
                events.push(Event::Crash(number));
            }
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = world.clone();
        match event {
            Event::Tick => {
                next.now += 1;
                for worker in 0..next.workers.len() {
                    Self::time_out(&mut next, worker);
                }
            }
            Event::Arrival(number) => {
                let transition = next.late.remove(number);
                // Nobody waits for the answer any more.
                let _ = next.write(&transition);
            }
            Event::Step(number, step) => {
                next.faults -= u8::from(step.is_fault());
                self.step(&mut next, number, step);
            }
            Event::Crash(number) => {
                next.crashes -= 1;
                Self::die(&mut next, number);
            }
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(
                "tokens leave once at most, or the same ones again",
                |protocol: &Self, world: &World| {
                    let times = world.handed_over.len();
                    times <= 1
                        || protocol.window > 0
                            && world.handed_over.iter().all(|trip| *trip == world.handed_over[0])
                },
            ),
            Property::always("nothing is broken", |_, world: &World| world.broken.is_none()),
            Property::always(
                "one exchange of a code at a time, and one for each lease",
                |_, world: &World| {
                    world.codes.iter().all(|code| {
                        let mut fences = code.sent_under.clone();
                        fences.dedup();
                        code.under_way <= 1 && fences.len() == code.sent_under.len()
                    })
                },
            ),
            Property::always("no dead tokens wait", |_, world: &World| {
                world.waiting_code().is_none_or(|code| code.alive)
            }),
            Property::always("what was promised is there", |_, world: &World| {
                // What its own device gives up afterwards was there.
                let kept = [StateName::Approved, StateName::Redeemed, StateName::Cancelled];
                !world.promised || kept.contains(&world.stored.state.name())
            }),
            Property::always("every request ends", |_, world: &World| {
                let standing = world.stored.request().standing(at(world.now));
                world.now < END
                    || matches!(standing, Standing::Denied | Standing::Expired | Standing::Redeemed)
            }),
            Property::always("tokens that have left stay good", |_, world: &World| {
                world.handed_over.iter().all(|trip| world.codes[usize::from(*trip)].alive)
            }),
            Property::always("tokens are lost with a dead replica only", |protocol: &Self, world: &World| {
                let over = world.crashes == protocol.crashes
                    && world.late.is_empty()
                    && !world.workers.iter().any(Worker::is_busy);
                let is_gone = world.stored.state.name() == StateName::Redeemed && !is_kept(&world.stored.op);
                !over || !is_gone || !world.handed_over.is_empty()
            }),
        ];
        properties.extend(self.possibilities());
        properties
    }
}

/// Whether somebody who could not tell of a hand-over made the tokens stay.
fn is_kept(op: &OpId) -> bool {
    op.as_str().starts_with("keep waiting")
}

/// How many trips to the pool there are.
fn trips(roles: &[Role]) -> u8 {
    roles.iter().filter_map(|role| role.trip()).max().map_or(0, |trip| trip + 1)
}
