//! Requests to put into a store.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use device_grant_domain::mailbox::MailboxKey;
use device_grant_domain::request::{DeviceRequest, RequestState, Transition};
use device_grant_domain::store::{NewRequest, RequestStore};
use device_grant_domain::{AttemptId, KeyThumbprint, OnceKey, OpId, RequestId, Timestamp, UserCodeKey};
use device_grant_protocol::DeviceCode;

/// 2100-01-01T00:00:00Z: when every sample is created. In the future, because a table's own broom goes by the machine's
/// clock: DynamoDB Local deletes what its `ttl` says is over within seconds.
pub const START: Timestamp = Timestamp::from_secs(4_102_444_800);
/// How long a sample lives.
pub const LIFE: Duration = Duration::from_mins(30);
/// How long a claim of a sample is leased.
pub const LEASE: Duration = Duration::from_mins(1);
/// How long a sample's user code stays out of use after the sample's end.
pub const COOL_DOWN: Duration = Duration::from_mins(10);

static DRAWN: AtomicU64 = AtomicU64::new(0);

/// A name that no other sample has, of this process or of another that writes to the same store.
pub fn unique(kind: &str) -> String {
    format!("{kind}-{}-{}", std::process::id(), DRAWN.fetch_add(1, Ordering::Relaxed))
}

/// The id of a new write.
pub fn op() -> OpId {
    OpId::from_stored(unique("op"))
}

/// The id of a new trip to the pool.
pub fn attempt() -> AttemptId {
    AttemptId::from_stored(unique("attempt"))
}

/// A new thing that is good once.
pub fn once() -> OnceKey {
    OnceKey::attempt(&attempt())
}

/// The place of a new user code.
pub fn place() -> UserCodeKey {
    UserCodeKey::from_stored(unique("place"))
}

/// A new request, as wide as a usual one: pending, created at [`START`], with a user code of its own.
pub fn new_request() -> NewRequest {
    let code = DeviceCode::new(unique("device-code"));
    let request = DeviceRequest {
        id: RequestId::of(&code),
        client_id: "living-room-tv".parse().expect("a client_id"),
        asked_scope: "openid profile offline_access".parse().expect("a scope"),
        scope: "openid profile email offline_access".parse().expect("a scope"),
        created_at: START,
        expires_at: START + LIFE,
        interval: 5,
        counted_from: Some(START),
        mailbox: MailboxKey::of(&code),
        dpop_jkt: Some(KeyThumbprint::from_stored(unique("thumbprint"))),
        origin: (0..180).collect(),
        version: 1,
        op: op(),
        fence: 0,
        spent: Vec::new(),
        state: RequestState::Pending,
    };
    NewRequest {
        user_code_reusable_at: request.expires_at + COOL_DOWN,
        request,
        user_code: place(),
        other_places: Vec::new(),
    }
}

/// A new request that is in `store`.
pub async fn pending(store: &dyn RequestStore) -> DeviceRequest {
    let new = new_request();
    store.create(&new, START).await.expect("a fresh user code is free");
    new.request
}

/// A request in `store` that was claimed at [`START`].
pub async fn authorized(store: &dyn RequestStore) -> DeviceRequest {
    let request = pending(store).await;
    let claim = request.claim(&attempt(), b"sealed code".to_vec(), (START, LEASE), op());
    commit(store, &request, claim).await
}

/// A request in `store` that waits for its device, with `tokens` in the mailbox.
pub async fn approved(store: &dyn RequestStore, tokens: Vec<u8>) -> DeviceRequest {
    let request = authorized(store).await;
    commit(store, &request, request.approve(request.fence, tokens, START, op())).await
}

/// A request in `store` whose device has its tokens.
pub async fn redeemed(store: &dyn RequestStore) -> DeviceRequest {
    let request = approved(store, b"sealed tokens".to_vec()).await;
    commit(store, &request, request.redeem(START, op())).await
}

/// A request in `store` that a person refused.
pub async fn denied(store: &dyn RequestStore) -> DeviceRequest {
    let request = pending(store).await;
    commit(store, &request, request.deny(START, op())).await
}

/// Writes a transition that `request` allows and that nothing stands in the way of; what is there afterwards.
pub async fn commit(
    store: &dyn RequestStore,
    request: &DeviceRequest,
    transition: Result<Transition, impl Debug>,
) -> DeviceRequest {
    let transition = transition.expect("the request allows it");
    store.transition(&transition).await.expect("nothing stands in the way");
    request.after(&transition)
}
