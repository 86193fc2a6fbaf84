//! Lost answers, throttling and stale reads.

use device_grant_domain::CounterKey;
use device_grant_domain::request::{DeviceRequest, RequestState, Transition};
use device_grant_domain::store::{Consistency, CreateError, RequestStore, TransitionError, Unavailable};
use device_grant_store_dynamodb::DynamoDbStore;
use device_grant_testkit::store_suite::samples::{
    LEASE, START, approved, attempt, authorized, commit, new_request, once, op, pending, unique,
};

use crate::proxy::{Proxy, Spoil};
use crate::support::new_store;

/// Attempts that one call makes before it gives up.
const ATTEMPTS: usize = 4;

/// ST-09: at both writes of a create, one lost answer is not noticed, and after many the same create is recognised.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_is_recognised() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    for item in ["U#", "R#"] {
        let new = new_request();
        proxy.spoil(Spoil::LoseAnswer, item, 1);
        store.create(&new, START).await.unwrap();
        assert_eq!(proxy.taken().len(), 3, "two writes, one of them twice");
        assert_eq!(direct.find_by_user_code(&[new.user_code]).await.unwrap(), Some(new.request));

        let new = new_request();
        proxy.spoil(Spoil::LoseAnswer, item, ATTEMPTS);
        let uncertain = store.create(&new, START).await;
        assert!(matches!(uncertain, Err(CreateError::Unavailable(_))), "{uncertain:?}");
        store.create(&new, START).await.unwrap();
        assert_eq!(direct.find_by_user_code(&[new.user_code]).await.unwrap(), Some(new.request));
        proxy.taken();
    }
}

/// ST-09: at every transition, one lost answer is not noticed, and after many the same transition is recognised.
#[tokio::test(flavor = "multi_thread")]
async fn a_transition_whose_answer_is_lost_is_recognised() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    for lost in [1, ATTEMPTS] {
        for (before, transition) in every_transition(&direct).await {
            proxy.spoil(Spoil::LoseAnswer, "R#", lost);
            let outcome = store.transition(&transition).await;
            if lost == 1 {
                outcome.unwrap();
            } else {
                assert!(matches!(outcome, Err(TransitionError::Unavailable(_))), "{outcome:?}");
                store.transition(&transition).await.unwrap();
            }
            assert_eq!(proxy.taken().len(), lost + 1, "{transition:?}");
            // Written once, however often it was sent.
            let present = direct.load(&before.id, Consistency::Strong).await.unwrap();
            assert_eq!(present, Some(before.after(&transition)));
        }
    }
}

/// ST-09: somebody else's write in between is not taken for our own.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_does_not_make_a_loser_win() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let request = approved(&direct, b"tokens".to_vec()).await;
    let winner = commit(&direct, &request, request.redeem(START, op())).await;
    proxy.spoil(Spoil::LoseAnswer, "R#", 1);
    match store.transition(&request.redeem(START, op()).unwrap()).await {
        Err(TransitionError::Conflict(present)) => assert_eq!(*present, winner),
        other => panic!("{other:?}"),
    }
}

/// ST-09, CB-01, UC-06: a trip whose mark was answered into the void is still this caller's, and a guess is counted
/// once.
#[tokio::test(flavor = "multi_thread")]
async fn marks_and_guesses_whose_answer_is_lost_are_recognised() {
    let (_, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let trip = once();
    proxy.spoil(Spoil::LoseAnswer, "A#", 1);
    assert!(store.spend(&trip, START).await.unwrap());
    assert!(!store.spend(&trip, START).await.unwrap());

    let guesses = CounterKey::from_stored(unique("account"));
    for _ in 0..2 {
        proxy.spoil(Spoil::LoseAnswer, "G#", 1);
        assert!(store.reserve(&guesses, 2, START).await.unwrap());
    }
    assert!(!store.reserve(&guesses, 2, START).await.unwrap());
    // Given back, and at most once, although nobody knows.
    proxy.spoil(Spoil::LoseAnswer, "G#", 1);
    store.give_back(&guesses).await.unwrap_err();
    assert!(store.reserve(&guesses, 2, START).await.unwrap());
    assert!(!store.reserve(&guesses, 2, START).await.unwrap());
}

/// ST-09, ST-04: raising the interval is harmless when repeated.
#[tokio::test(flavor = "multi_thread")]
async fn slowing_down_survives_a_lost_answer() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let request = pending(&direct).await;
    proxy.spoil(Spoil::LoseAnswer, "R#", 1);
    store.slow_down(&request.id, 10).await.unwrap();
    let present = direct.load(&request.id, Consistency::Strong).await.unwrap();
    assert_eq!(present, Some(DeviceRequest { interval: 10, ..request }));
}

/// TP-05: a poll whose count was answered into the void is not counted again: its second count could not be told from
/// another poll's, and the device would be slowed down for our lost answer.
#[tokio::test(flavor = "multi_thread")]
async fn counting_a_poll_is_not_repeated() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let request = pending(&direct).await;
    proxy.spoil(Spoil::LoseAnswer, "R#", 1);
    let outcome = store.count_from(&request, START + LEASE).await;
    assert!(matches!(outcome, Err(TransitionError::Unavailable(_))), "{outcome:?}");
    assert_eq!(proxy.taken().len(), 1);
}

/// ST-12: throttling leads to a few attempts, then to an honest "unavailable", and to full recovery.
#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_retried_a_few_times() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let request = pending(&direct).await;
    let denial = request.deny(START, op()).unwrap();
    proxy.spoil(Spoil::Throttle, "", usize::MAX);
    let outcome = store.transition(&denial).await;
    let Err(TransitionError::Unavailable(Unavailable(cause))) = outcome else { panic!("{outcome:?}") };
    assert!(cause.to_string().contains("too much"), "{cause}");
    assert_eq!(proxy.taken().len(), ATTEMPTS);
    assert!(matches!(store.create(&new_request(), START).await, Err(CreateError::Unavailable(_))));
    assert_eq!(direct.load(&request.id, Consistency::Strong).await.unwrap(), Some(request.clone()));

    proxy.spoil(Spoil::Throttle, "", 2);
    store.transition(&denial).await.unwrap();
    assert_eq!(direct.load(&request.id, Consistency::Strong).await.unwrap(), Some(request.after(&denial)));
}

/// ST-08, ST-07: a stale eventual read misleads nobody: strong reads, codes and conditions see what is there.
#[tokio::test(flavor = "multi_thread")]
async fn stale_reads_decide_nothing() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    proxy.freeze_eventual_reads();
    let new = new_request();
    let id = &new.request.id;
    assert_eq!(store.load(id, Consistency::Eventual).await.unwrap(), None);
    store.create(&new, START).await.unwrap();
    assert_eq!(store.load(id, Consistency::Eventual).await.unwrap(), None, "the read is stale indeed");
    assert_eq!(store.load(id, Consistency::Strong).await.unwrap().as_ref(), Some(&new.request));
    assert_eq!(store.find_by_user_code(&[new.user_code]).await.unwrap().as_ref(), Some(&new.request));

    let denied = commit(&direct, &new.request, new.request.deny(START, op())).await;
    let late = new.request.claim(&attempt(), b"code".to_vec(), (START, LEASE), op()).unwrap();
    match store.transition(&late).await {
        Err(TransitionError::Conflict(present)) => assert_eq!(present.state, RequestState::Denied),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.load(id, Consistency::Strong).await.unwrap(), Some(denied));
}

/// Each kind of transition, with the request in `store` that it fits.
async fn every_transition(store: &DynamoDbStore) -> Vec<(DeviceRequest, Transition)> {
    let new = pending(store).await;
    let claim = new.claim(&attempt(), b"code".to_vec(), (START, LEASE), op()).unwrap();
    let open = pending(store).await;
    let denial = open.deny(START, op()).unwrap();
    let held = authorized(store).await;
    let approval = held.approve(held.fence, b"tokens".to_vec(), START, op()).unwrap();
    let refused = authorized(store).await;
    let release = refused.release(refused.fence, op()).unwrap();
    let abandoned = authorized(store).await;
    let take_over = abandoned.take_over((START + LEASE, LEASE), op()).unwrap();
    let ready = approved(store, b"tokens".to_vec()).await;
    let redemption = ready.redeem(START, op()).unwrap();
    vec![
        (new, claim),
        (open, denial),
        (held, approval),
        (refused, release),
        (abandoned, take_over),
        (ready, redemption),
    ]
}
