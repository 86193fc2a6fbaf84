use device_grant_protocol::DeviceCode;
use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const LIFE: Duration = Duration::from_mins(30);
const LEASE: Duration = Duration::from_mins(1);

fn op(n: u64) -> OpId {
    OpId::from_stored(format!("op-{n}"))
}

fn attempt(name: &str) -> AttemptId {
    AttemptId::from_stored(name)
}

fn pending() -> DeviceRequest {
    let code = DeviceCode::new("a-device-code");
    DeviceRequest {
        id: RequestId::of(&code),
        client_id: "tv".parse().unwrap(),
        asked_scope: Scope::default(),
        scope: "openid".parse().unwrap(),
        created_at: START,
        expires_at: START + LIFE,
        interval: 5,
        counted_from: None,
        mailbox: MailboxKey::of(&code),
        origin: Vec::new(),
        version: 1,
        op: op(0),
        fence: 0,
        dpop_jkt: None,
        spent: Vec::new(),
        state: RequestState::Pending,
    }
}

fn authorized(at: Timestamp) -> DeviceRequest {
    let request = pending();
    request.after(&request.claim(&attempt("one"), vec![1], (at, LEASE), op(1)).unwrap())
}

fn approved(at: Timestamp) -> DeviceRequest {
    let request = authorized(at);
    request.after(&request.approve(1, vec![2], at, op(2)).unwrap())
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// TP-17: between the claim and the stored tokens a poll finds nothing decided.
#[test]
fn a_claimed_request_is_still_undecided() {
    let request = authorized(START);
    assert_eq!(request.standing(START + secs(59)), Standing::Undecided);
    assert_eq!(request.standing(START + LEASE), Standing::Abandoned);
    assert_eq!(request.standing(START + LIFE), Standing::Expired);
}

/// TP-11: an approved request stays redeemable until `max(expires_at, approved_at + interval + 5 s)`.
#[test]
fn a_late_approval_stays_redeemable_for_one_poll() {
    let late = START + LIFE - secs(1);
    let request = approved(late);
    assert_eq!(request.standing(late + secs(9)), Standing::Redeemable);
    assert_eq!(request.standing(late + secs(10)), Standing::Expired);
    assert_eq!(request.redeem(late + secs(10), op(3)), Err(Refusal::Expired));
    let early = approved(START);
    assert_eq!(early.standing(START + LIFE - secs(1)), Standing::Redeemable);
    assert_eq!(early.standing(START + LIFE), Standing::Expired);
}

/// ST-09: a hand-over that nobody can tell of is made undone by its own writer only, and cannot be done any more after that.
#[test]
fn tokens_wait_again_for_the_one_who_could_not_tell() {
    let before = approved(START);
    let write = before.redeem(START, op(3)).unwrap();
    let done = before.after(&write);
    for present in [&before, &done] {
        let again = present.after(&present.keep_waiting(&before, &write.op, op(4)).unwrap());
        assert_eq!((&again.state, again.standing(START)), (&before.state, Standing::Redeemable));
        assert!(again.version > before.version, "the write does not reach it");
    }
    let elsewhere = before.after(&before.redeem(START, op(5)).unwrap());
    assert_eq!(elsewhere.keep_waiting(&before, &write.op, op(4)), None, "somebody else has the tokens");
    let gone_since = done.after(&done.keep_waiting(&before, &write.op, op(4)).unwrap());
    let gone_since = gone_since.after(&gone_since.redeem(START, op(6)).unwrap());
    assert_eq!(gone_since.keep_waiting(&before, &write.op, op(7)), None);
}

/// ST-09, TP-12: what may have been fetched again elsewhere stays handed over, and can be fetched for as long as it would have
/// waited.
#[test]
fn an_uncertain_hand_over_with_a_window_stays_open() {
    let before = approved(START);
    let write = before.redeem_keeping(START, Some(secs(30)), op(3)).unwrap();
    let done = before.after(&write);
    let done = done.after(&done.keep_waiting(&before, &write.op, op(4)).unwrap());
    assert_eq!(done.standing(START + LIFE - secs(1)), Standing::Redeliverable);
    assert_eq!(done.standing(START + LIFE), Standing::Redeemed);
    assert_eq!(done.keep_waiting(&before, &write.op, op(5)), None);
    let not_done = before.after(&before.keep_waiting(&before, &write.op, op(4)).unwrap());
    assert_eq!(not_done.standing(START), Standing::Redeemable);
}

/// TP-12: what was handed over can be fetched again until its window ends, and nothing else can be done with it.
#[test]
fn a_window_ends() {
    let before = approved(START);
    let after = before.after(&before.redeem_keeping(START, Some(secs(30)), op(3)).unwrap());
    assert_eq!(after.standing(START + secs(29)), Standing::Redeliverable);
    assert_eq!(after.standing(START + secs(30)), Standing::Redeemed);
    assert_eq!(before.after(&before.redeem(START, op(3)).unwrap()).standing(START), Standing::Redeemed);
    assert_eq!(after.redeem(START, op(4)), Err(Refusal::Decided(StateName::Redeemed)));
    assert_eq!(after.deny(START, op(4)), Err(Refusal::Decided(StateName::Redeemed)));
}

/// ST-05: nothing brings a finished or an expired request back.
#[test]
fn terminal_states_stay() {
    let redeemed = {
        let r = approved(START);
        r.after(&r.redeem(START, op(3)).unwrap())
    };
    let denied = {
        let r = pending();
        r.after(&r.deny(START, op(1)).unwrap())
    };
    for request in [redeemed, denied] {
        assert!(request.deny(START, op(9)).is_err());
        assert!(request.claim(&attempt("new"), vec![], (START, LEASE), op(9)).is_err());
        assert!(request.take_over((START + LEASE, LEASE), op(9)).is_err());
        assert!(request.approve(request.fence, vec![], START, op(9)).is_err());
        assert!(request.release(request.fence, op(9)).is_err());
        assert!(request.redeem(START, op(9)).is_err());
    }
    assert_eq!(pending().claim(&attempt("x"), vec![], (START + LIFE, LEASE), op(9)), Err(Refusal::Expired));
    assert_eq!(pending().deny(START + LIFE, op(9)), Err(Refusal::Expired));
    assert_eq!(authorized(START).approve(1, vec![], START + LIFE, op(9)), Err(Refusal::Expired));
}

/// CB-03: one trip claims once, also after its exchange failed.
#[test]
fn a_trip_claims_once() {
    let request = authorized(START);
    assert_eq!(request.claim(&attempt("one"), vec![], (START, LEASE), op(2)), Err(Refusal::Spent));
    assert_eq!(request.claim(&attempt("two"), vec![], (START, LEASE), op(2)), Err(Refusal::Held));
    let released = request.after(&request.release(1, op(2)).unwrap());
    assert_eq!(released.state, RequestState::Pending);
    assert_eq!(released.claim(&attempt("one"), vec![], (START, LEASE), op(3)), Err(Refusal::Spent));
    assert!(released.claim(&attempt("two"), vec![], (START, LEASE), op(3)).is_ok());
}

#[test]
fn a_late_first_holder_cannot_store_its_tokens() {
    let request = authorized(START);
    assert_eq!(request.take_over((START, LEASE), op(2)), Err(Refusal::Held));
    let taken = request.after(&request.take_over((START + LEASE, LEASE), op(2)).unwrap());
    assert_eq!(taken.approve(1, vec![], START + LEASE, op(3)), Err(Refusal::Fenced));
    assert_eq!(taken.release(1, op(3)), Err(Refusal::Fenced));
    assert!(taken.approve(2, vec![], START + LEASE, op(3)).is_ok());
}

#[test]
fn attempts_are_bounded() {
    let mut request = pending();
    for n in 0..MAX_ATTEMPTS {
        request =
            request.after(&request.claim(&attempt(&n.to_string()), vec![], (START, LEASE), op(1)).unwrap());
        request = request.after(&request.release(request.fence, op(2)).unwrap());
    }
    assert_eq!(request.claim(&attempt("x"), vec![], (START, LEASE), op(3)), Err(Refusal::TooManyAttempts));
}

#[derive(Clone, Debug)]
enum Act {
    Deny,
    Claim(u8),
    TakeOver,
    Approve(u64),
    Release(u64),
    Redeem(bool),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Deny),
        (0u8..4).prop_map(Act::Claim),
        Just(Act::TakeOver),
        (0u64..4).prop_map(Act::Approve),
        (0u64..4).prop_map(Act::Release),
        any::<bool>().prop_map(Act::Redeem),
        (0u64..900).prop_map(Act::Wait),
    ]
}

proptest! {
    /// ST-01, ST-05: whatever happens in whatever order, tokens are handed over at most once, and a terminal state
    /// never changes.
    #[test]
    fn no_order_of_events_hands_over_twice(acts in proptest::collection::vec(act(), 1..60)) {
        let (mut request, mut now, mut handed_over) = (pending(), START, 0);
        for act in acts {
            let result = match act {
                Act::Deny => request.deny(now, op(1)),
                Act::Claim(n) => request.claim(&attempt(&n.to_string()), vec![], (now, LEASE), op(1)),
                Act::TakeOver => request.take_over((now, LEASE), op(1)),
                Act::Approve(fence) => request.approve(fence, vec![], now, op(1)),
                Act::Release(fence) => request.release(fence, op(1)),
                Act::Redeem(window) => request.redeem_keeping(now, window.then_some(LEASE), op(1)),
                Act::Wait(s) => { now = now + secs(s); continue }
            };
            let Ok(transition) = result else { continue };
            prop_assert_eq!(transition.expects, request.state.name());
            prop_assert!(!matches!(request.state, RequestState::Redeemed(_) | RequestState::Denied));
            handed_over += u32::from(matches!(transition.becomes, RequestState::Redeemed(_)));
            request = request.after(&transition);
        }
        prop_assert!(handed_over <= 1);
    }
}
