//! Creating, loading and finding.

use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::store::{Consistency, CreateError, NewRequest, RequestStore};
use device_grant_domain::{OpId, RequestId, UserCodeKey};
use tokio::task::JoinSet;

use super::samples::{
    START, approved, authorized, commit, denied, new_request, op, pending, place, redeemed,
};
use super::{Store, stored};

/// Each field of a request in each of its states comes back as it was put in.
pub async fn every_field_of_every_state_comes_back(store: Store) {
    let released = authorized(&*store).await;
    let released = commit(&*store, &released, released.release(released.fence, op())).await;
    let states = [
        pending(&*store).await,
        authorized(&*store).await,
        approved(&*store, b"sealed tokens".to_vec()).await,
        redeemed(&*store).await,
        denied(&*store).await,
        released,
    ];
    for expected in states {
        assert_eq!(stored(&*store, &expected.id).await, expected);
    }
    let mut bare = new_request();
    bare.request.asked_scope = "".parse().expect("no scope is a scope");
    bare.request.scope = "".parse().expect("no scope is a scope");
    bare.request.origin = Vec::new();
    bare.request.dpop_jkt = None;
    bare.request.counted_from = None;
    store.create(&bare, START).await.expect("the code is free");
    assert_eq!(stored(&*store, &bare.request.id).await, bare.request);
}

/// What was never created is not there, under either kind of read and by no code.
pub async fn the_unknown_is_absent(store: Store) {
    let id = RequestId::from_stored("unknown");
    for consistency in [Consistency::Eventual, Consistency::Strong] {
        assert_eq!(store.load(&id, consistency).await.expect("the store answers"), None);
    }
    assert_eq!(found(&*store, &[place(), place()]).await, None);
    assert_eq!(found(&*store, &[]).await, None);
}

/// A user code that a live request has, or that was in use a moment ago, is refused; afterwards it is free.
pub async fn a_user_code_is_taken_until_its_cool_down_ends(store: Store) {
    let first = new_request();
    store.create(&first, START).await.expect("the code is free");
    let mut second = NewRequest { user_code: first.user_code.clone(), ..new_request() };
    let moment = Duration::from_millis(1);
    let reusable = first.user_code_reusable_at;
    for now in [START, first.request.expires_at - moment, first.request.expires_at, reusable - moment] {
        let refused = store.create(&second, now).await;
        assert!(matches!(refused, Err(CreateError::UserCodeTaken)), "{refused:?}");
        assert_eq!(store.load(&second.request.id, Consistency::Strong).await.expect("an answer"), None);
    }
    second.request.created_at = reusable;
    second.request.expires_at = reusable + Duration::from_mins(30);
    second.user_code_reusable_at = reusable + Duration::from_mins(40);
    store.create(&second, reusable).await.expect("the cool-down is over");
    assert_eq!(found(&*store, &[first.user_code]).await, Some(second.request));
    assert_eq!(stored(&*store, &first.request.id).await, first.request);
}

/// A user code is also refused when it lies at a place under another live key.
pub async fn a_user_code_is_taken_at_each_of_its_places(store: Store) {
    let first = new_request();
    store.create(&first, START).await.expect("the code is free");
    let second = NewRequest { other_places: vec![place(), first.user_code.clone()], ..new_request() };
    let refused = store.create(&second, START).await;
    assert!(matches!(refused, Err(CreateError::UserCodeTaken)), "{refused:?}");
    let both = [second.user_code.clone(), first.user_code.clone()];
    assert_eq!(found(&*store, &both).await, Some(first.request));
    store.create(&second, first.user_code_reusable_at).await.expect("the cool-down is over");
}

/// One code drawn by many at once goes to one of them.
pub async fn one_of_many_gets_a_user_code(store: Store) {
    for _ in 0..4 {
        let shared = place();
        let mut tasks = JoinSet::new();
        for _ in 0..12 {
            let (store, user_code) = (Arc::clone(&store), shared.clone());
            tasks.spawn(async move {
                let new = NewRequest { user_code, ..new_request() };
                store.create(&new, START).await.map(|()| new.request)
            });
        }
        let outcomes = tasks.join_all().await;
        let winners: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(found(&*store, &[shared]).await.as_ref(), winners.first());
    }
}

/// During a rotation of keys two replicas put one code at two places: still not both get it.
pub async fn one_code_at_two_places_is_not_given_twice(store: Store) {
    for _ in 0..12 {
        let (one, other) = (place(), place());
        let mut tasks = JoinSet::new();
        for (own, foreign) in [(one.clone(), other.clone()), (other, one)] {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                let new = NewRequest { user_code: own, other_places: vec![foreign], ..new_request() };
                store.create(&new, START).await
            });
        }
        let created = tasks.join_all().await.into_iter().flatten().count();
        assert!(created <= 1, "both have it");
    }
}

/// A create whose answer was lost is repeated without harm.
pub async fn creating_again_is_recognised(store: Store) {
    let new = new_request();
    for _ in 0..3 {
        store.create(&new, START).await.expect("it is our own");
    }
    assert_eq!(stored(&*store, &new.request.id).await, new.request);
    assert_eq!(found(&*store, &[new.user_code]).await, Some(new.request));
}

/// A create that comes late does not undo what has happened to the request since.
pub async fn creating_again_undoes_nothing(store: Store) {
    let new = new_request();
    store.create(&new, START).await.expect("the code is free");
    store.slow_down(&new.request.id, 10).await.expect("the store answers");
    let denied = commit(&*store, &new.request, new.request.deny(START, op())).await;
    store.create(&new, START).await.expect("it is our own");
    let present = stored(&*store, &new.request.id).await;
    assert_eq!((present.state, present.version, present.interval), (denied.state, denied.version, 10));
}

/// A code is found at once, wherever among the places it lies, and another code is not.
pub async fn a_user_code_is_found_at_once_at_any_place(store: Store) {
    for position in 0..3 {
        let new = new_request();
        store.create(&new, START).await.expect("the code is free");
        let mut places = vec![place(), place()];
        assert_eq!(found(&*store, &places).await, None);
        places.insert(position, new.user_code.clone());
        assert_eq!(found(&*store, &places).await, Some(new.request));
    }
}

/// Where one code lies at two places, an old request's and a live one's, the live one is meant.
pub async fn the_latest_request_of_a_code_is_found(store: Store) {
    let old = new_request();
    store.create(&old, START).await.expect("the code is free");
    let mut new = NewRequest { other_places: vec![old.user_code.clone()], ..new_request() };
    let now = old.user_code_reusable_at;
    new.request.created_at = now;
    new.request.expires_at = now + Duration::from_mins(30);
    new.user_code_reusable_at = now + Duration::from_mins(40);
    store.create(&new, now).await.expect("the cool-down is over");
    for places in
        [[old.user_code.clone(), new.user_code.clone()], [new.user_code.clone(), old.user_code.clone()]]
    {
        assert_eq!(found(&*store, &places).await.as_ref(), Some(&new.request));
    }
}

/// A request whose time is up is still there to be recognised: the caller decides with its clock.
pub async fn an_expired_request_stays_readable(store: Store) {
    let mut new = new_request();
    new.request.created_at = START - Duration::from_hours(2);
    new.request.expires_at = START - Duration::from_mins(90);
    new.user_code_reusable_at = new.request.expires_at;
    store.create(&new, START).await.expect("the code is free");
    assert_eq!(stored(&*store, &new.request.id).await, new.request);
    assert_eq!(found(&*store, &[new.user_code]).await, Some(new.request));
}

/// What a request was created by is what it shows, so that a writer knows its own.
pub async fn the_write_that_made_a_version_stands_in_it(store: Store) {
    let created = pending(&*store).await;
    let own = OpId::from_stored("the-denial");
    let denied = commit(&*store, &created, created.deny(START, own.clone())).await;
    let present = stored(&*store, &denied.id).await;
    assert_eq!((present.op, present.version), (own, created.version + 1));
}

async fn found(
    store: &dyn RequestStore,
    places: &[UserCodeKey],
) -> Option<device_grant_domain::request::DeviceRequest> {
    store.find_by_user_code(places).await.expect("the store answers")
}
