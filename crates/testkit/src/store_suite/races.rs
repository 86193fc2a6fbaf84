//! Many writers at the same moment.

use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::request::{DeviceRequest, RequestState, StateName, Transition};
use device_grant_domain::store::TransitionError;
use tokio::task::JoinSet;

use super::samples::{LEASE, START, approved, attempt, commit, op, pending};
use super::{Store, stored};

/// Fifty polls redeem one approved request at once: one wins, and each other is told that it is redeemed.
pub async fn one_of_fifty_redeemers_wins(store: Store) {
    for _ in 0..4 {
        let request = approved(&*store, b"tokens".to_vec()).await;
        let redeemers = (0..50).map(|_| request.redeem(START, op()).expect("approved")).collect();
        one_wins(&store, &request, redeemers).await;
    }
}

/// A denial and two approvals by two people at once: one wins, and the losers are told who.
pub async fn one_of_approve_and_deny_wins(store: Store) {
    for _ in 0..12 {
        let request = pending(&*store).await;
        let claim = || request.claim(&attempt(), b"code".to_vec(), (START, LEASE), op()).expect("open");
        let decisions = vec![claim(), request.deny(START, op()).expect("open"), claim()];
        one_wins(&store, &request, decisions).await;
    }
}

/// A lease that ran out is taken over by one, and the late first holder cannot store its tokens any more.
pub async fn one_takes_an_abandoned_claim_over(store: Store) {
    for _ in 0..4 {
        let request = pending(&*store).await;
        let claim = request.claim(&attempt(), b"code".to_vec(), (START, LEASE), op());
        let held = commit(&*store, &request, claim).await;
        let late = START + LEASE;
        let mut writers: Vec<_> =
            (0..8).map(|_| held.take_over((late, LEASE), op()).expect("abandoned")).collect();
        writers.push(held.approve(held.fence, b"tokens".to_vec(), late, op()).expect("held"));
        one_wins(&store, &held, writers).await;
        let present = stored(&*store, &held.id).await;
        if present.state.name() == StateName::Authorized {
            assert_eq!(present.fence, held.fence + 1);
        }
    }
}

/// Polls that slow a device down while it is approved and served spoil neither.
pub async fn slowing_down_never_spoils_an_approval(store: Store) {
    for _ in 0..6 {
        let mut request = pending(&*store).await;
        let mut polls = JoinSet::new();
        for interval in 6..26 {
            let (store, id) = (Arc::clone(&store), request.id.clone());
            polls.spawn(async move { store.slow_down(&id, interval).await });
        }
        let claim = request.claim(&attempt(), b"code".to_vec(), (START, LEASE), op());
        request = commit(&*store, &request, claim).await;
        let approval = request.approve(request.fence, b"tokens".to_vec(), START, op());
        request = commit(&*store, &request, approval).await;
        for outcome in polls.join_all().await {
            outcome.expect("the store answers");
        }
        let present = stored(&*store, &request.id).await;
        assert_eq!(present, DeviceRequest { interval: present.interval, ..request.clone() });
        assert!((5..26).contains(&present.interval));
        request = commit(&*store, &request, request.redeem(START, op())).await;
        assert_eq!(stored(&*store, &request.id).await.state, RequestState::Redeemed(None));
    }
}

/// Of polls at once, all counted from different moments, one is counted, and the others are told.
pub async fn one_of_many_polls_is_counted(store: Store) {
    for _ in 0..4 {
        let request = pending(&*store).await;
        let mut polls = JoinSet::new();
        for ms in 0..12 {
            let (store, request) = (Arc::clone(&store), request.clone());
            let from = START + Duration::from_millis(5000 + ms);
            polls.spawn(async move { store.count_from(&request, from).await.map(|()| from) });
        }
        let (mut counted, mut told) = (Vec::new(), Vec::new());
        for outcome in polls.join_all().await {
            match outcome {
                Ok(from) => counted.push(from),
                Err(TransitionError::Conflict(present)) => told.push(*present),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(counted.len(), 1);
        let present = DeviceRequest { counted_from: Some(counted[0]), ..request };
        assert!(told.iter().all(|there| *there == present), "a loser was told something else");
    }
}

async fn one_wins(store: &Store, before: &DeviceRequest, writers: Vec<Transition>) {
    let mut tasks = JoinSet::new();
    for transition in writers {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let outcome = store.transition(&transition).await;
            (transition, outcome)
        });
    }
    let mut winner = None;
    let mut told = Vec::new();
    for (transition, outcome) in tasks.join_all().await {
        match outcome {
            Ok(()) => assert_eq!(winner.replace(before.after(&transition)), None, "two have won"),
            Err(TransitionError::Conflict(present)) => told.push(*present),
            Err(other) => panic!("{other:?}"),
        }
    }
    let winner = winner.expect("one has won");
    assert_eq!(stored(&**store, &before.id).await, winner);
    assert!(told.iter().all(|present| *present == winner), "a loser was told something else");
}
