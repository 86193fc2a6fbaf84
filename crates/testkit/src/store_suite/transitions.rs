//! The condition of each transition, and what it leaves alone.

use std::time::Duration;

use device_grant_domain::RequestId;
use device_grant_domain::request::{DeviceRequest, Redelivery, RequestState, StateName, Transition};
use device_grant_domain::store::{Consistency, RequestStore, TransitionError};

use super::samples::{
    LEASE, START, approved, attempt, authorized, commit, denied, new_request, op, pending, redeemed,
};
use super::{Store, stored};

/// A transition that expects another state or another version writes nothing, and is told what stands there.
pub async fn another_state_or_version_is_a_conflict(store: Store) {
    let present = authorized(&*store).await;
    let fitting = present.approve(present.fence, b"tokens".to_vec(), START, op()).expect("it is held");
    let misfits = [
        Transition { expects: StateName::Pending, ..fitting.clone() },
        Transition { expects: StateName::Approved, ..fitting.clone() },
        Transition { expects_version: fitting.expects_version - 1, ..fitting.clone() },
        Transition { expects_version: fitting.expects_version + 1, ..fitting.clone() },
    ];
    for misfit in misfits {
        conflicts(&store, &misfit, &present).await;
    }
    store.transition(&fitting).await.expect("this one fits");
    assert_eq!(stored(&*store, &present.id).await, present.after(&fitting));
}

/// A transition of what was never created is told so, and creates nothing.
pub async fn a_transition_of_the_unknown_is_not_found(store: Store) {
    let request = new_request().request;
    let refused = store.transition(&request.deny(START, op()).expect("it is open")).await;
    assert!(matches!(refused, Err(TransitionError::NotFound)), "{refused:?}");
    assert_eq!(store.load(&request.id, Consistency::Strong).await.expect("an answer"), None);
}

/// Whoever still holds an earlier version of a finished request can do nothing with it.
pub async fn a_finished_request_stays_finished(store: Store) {
    for finished in [redeemed(&*store).await, denied(&*store).await] {
        let as_it_was = DeviceRequest { state: RequestState::Pending, ..finished.clone() };
        let claimed = as_it_was.claim(&attempt(), b"code".to_vec(), (START, LEASE), op()).expect("open");
        let held = as_it_was.after(&claimed);
        let approval = held.approve(held.fence, b"tokens".to_vec(), START, op()).expect("held");
        let late = [
            claimed,
            as_it_was.deny(START, op()).expect("open"),
            held.release(held.fence, op()).expect("held"),
            held.after(&approval).redeem(START, op()).expect("approved"),
            approval,
        ];
        for transition in late {
            for expects_version in [finished.version - 1, finished.version, finished.version + 1] {
                let transition = Transition { expects_version, ..transition.clone() };
                conflicts(&store, &transition, &finished).await;
            }
        }
    }
}

/// A transition whose answer was lost is repeated: it counts as done, and is done once.
pub async fn a_repeated_transition_is_recognised(store: Store) {
    let before = pending(&*store).await;
    let claim = before.claim(&attempt(), b"code".to_vec(), (START, LEASE), op()).expect("open");
    let approval = |held: &DeviceRequest| held.approve(held.fence, b"tokens".to_vec(), START, op());
    let mut present = before;
    let mut next = claim;
    for step in 0.. {
        for _ in 0..3 {
            store.transition(&next).await.expect("done, or recognised as done");
        }
        present = present.after(&next);
        assert_eq!(stored(&*store, &present.id).await, present);
        next = match step {
            0 => approval(&present).expect("held"),
            1 => present.redeem(START, op()).expect("approved"),
            _ => break,
        };
    }
}

/// No transition puts back the interval that it was computed from.
pub async fn a_transition_leaves_the_interval_alone(store: Store) {
    let mut request = pending(&*store).await;
    store.slow_down(&request.id, 10).await.expect("the store answers");
    let claim = request.claim(&attempt(), b"code".to_vec(), (START, LEASE), op());
    request = commit(&*store, &request, claim).await;
    assert_eq!(stored(&*store, &request.id).await.interval, 10);
    store.slow_down(&request.id, 15).await.expect("the store answers");
    let approval = request.approve(request.fence, b"tokens".to_vec(), START, op());
    request = commit(&*store, &request, approval).await;
    request = commit(&*store, &request, request.redeem(START, op())).await;
    assert_eq!(stored(&*store, &request.id).await, DeviceRequest { interval: 15, ..request });
}

/// Slowing down raises the interval of an undecided request, and changes nothing else anywhere.
pub async fn slowing_down_touches_nothing_else(store: Store) {
    for undecided in [pending(&*store).await, authorized(&*store).await] {
        for (asked, expected) in [(10, 10), (10, 10), (7, 10), (60, 60), (0, 60)] {
            store.slow_down(&undecided.id, asked).await.expect("the store answers");
            let expected = DeviceRequest { interval: expected, ..undecided.clone() };
            assert_eq!(stored(&*store, &undecided.id).await, expected);
        }
    }
    let decided =
        [approved(&*store, b"tokens".to_vec()).await, redeemed(&*store).await, denied(&*store).await];
    for decided in decided {
        store.slow_down(&decided.id, 60).await.expect("the store answers");
        assert_eq!(stored(&*store, &decided.id).await, decided);
    }
    let unknown = RequestId::from_stored("unknown");
    store.slow_down(&unknown, 60).await.expect("the store answers");
    assert_eq!(store.load(&unknown, Consistency::Strong).await.expect("an answer"), None);
}

/// A poll is counted if the request is undecided and its pace is as the poll has read it; that changes nothing else.
pub async fn a_poll_is_counted_where_the_pace_still_stands(store: Store) {
    let mut unpolled = new_request();
    unpolled.request.counted_from = None;
    store.create(&unpolled, START).await.expect("the code is free");
    let later = |seconds| START + Duration::from_secs(seconds);
    for read in [unpolled.request, pending(&*store).await, authorized(&*store).await] {
        store.count_from(&read, later(5)).await.expect("nothing stands in the way");
        let counted = DeviceRequest { counted_from: Some(later(5)), ..read.clone() };
        assert_eq!(stored(&*store, &read.id).await, counted);
        is_not_counted(&*store, &read, &counted).await;
        store.slow_down(&read.id, 10).await.expect("the store answers");
        let slower = DeviceRequest { interval: 10, ..counted.clone() };
        is_not_counted(&*store, &counted, &slower).await;
        store.count_from(&slower, later(15)).await.expect("nothing stands in the way");
        let counted = DeviceRequest { counted_from: Some(later(15)), ..slower };
        assert_eq!(stored(&*store, &read.id).await, counted);
    }
    for decided in [approved(&*store, b"tokens".to_vec()).await, denied(&*store).await] {
        is_not_counted(&*store, &decided, &decided).await;
    }
    let unknown = store.count_from(&new_request().request, START).await;
    assert!(matches!(unknown, Err(TransitionError::NotFound)), "{unknown:?}");
}

async fn is_not_counted(store: &dyn RequestStore, read: &DeviceRequest, present: &DeviceRequest) {
    match store.count_from(read, START + Duration::from_secs(99)).await {
        Err(TransitionError::Conflict(there)) => assert_eq!(*there, *present),
        other => panic!("{other:?}"),
    }
    assert_eq!(stored(store, &read.id).await, *present);
}

/// A token set of 200 kB fits, and it is gone from the store once it is handed over.
pub async fn a_large_token_set_fits_until_it_is_handed_over(store: Store) {
    let tokens: Vec<u8> = (0..=250).cycle().take(200_000).collect();
    let request = approved(&*store, tokens).await;
    assert_eq!(stored(&*store, &request.id).await, request);
    let after = commit(&*store, &request, request.redeem(START, op())).await;
    assert_eq!(stored(&*store, &request.id).await, after);
    assert_eq!(after.state, RequestState::Redeemed(None));
}

/// A token set that may be fetched again stays as it was, and its time with it.
pub async fn a_token_set_with_a_window_stays(store: Store) {
    let request = approved(&*store, b"tokens".to_vec()).await;
    let write = request.redeem_keeping(START, Some(Duration::from_secs(30)), op());
    let after = commit(&*store, &request, write).await;
    assert_eq!(stored(&*store, &request.id).await, after);
    let kept = Redelivery { until: START + Duration::from_secs(30), sealed: b"tokens".to_vec() };
    assert_eq!(after.state, RequestState::Redeemed(Some(kept)));
}

async fn conflicts(store: &Store, transition: &Transition, present: &DeviceRequest) {
    match store.transition(transition).await {
        Err(TransitionError::Conflict(found)) => assert_eq!(*found, *present),
        other => panic!("{transition:?} gave {other:?}"),
    }
    assert_eq!(stored(&**store, &present.id).await, *present);
}
