//! What a request costs: how large its item is, and how many calls and units each step takes.

use device_grant_domain::request::REMEMBERED_FOR;
use device_grant_domain::store::{Consistency, RequestStore as _};
use device_grant_testkit::store_suite::samples::{
    LEASE, START, approved, attempt, authorized, commit, new_request, once, op, pending,
};
use serde_json::{Value, json};

use crate::proxy::{Exchange, Proxy};
use crate::support::new_store;

/// ST-08: a poll that finds nothing decided is one eventually consistent read of half a unit, and no write.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_costs_half_a_read_unit() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    for request in [pending(&direct).await, authorized(&direct).await] {
        store.load(&request.id, Consistency::Eventual).await.unwrap();
        let calls = proxy.taken();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].operation, "GetItem");
        assert_eq!(units(&calls[0]), json!(0.5));
    }
}

/// TP-03: where replicas share the pace a poll costs one write unit more: the item stays under 1 kB.
#[tokio::test(flavor = "multi_thread")]
async fn counting_a_poll_costs_one_write_unit() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let request = pending(&direct).await;
    store.count_from(&request, START).await.unwrap();
    let calls = proxy.taken();
    assert_eq!(calls.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>(), ["UpdateItem"]);
    assert_eq!(units(&calls[0]), json!(1.0));
}

/// ST-13: a new request is two writes of one unit each: a pending item stays under 1 kB, also a rich one.
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_item_stays_under_a_kilobyte() {
    let (_, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let mut new = new_request();
    new.request.asked_scope =
        "openid profile email phone address offline_access api/read api/write".parse().unwrap();
    new.request.scope = new.request.asked_scope.clone();
    store.create(&new, START).await.unwrap();
    let calls = proxy.taken();
    assert_eq!(calls.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>(), ["PutItem", "PutItem"]);
    assert_eq!(calls.iter().map(units).collect::<Vec<_>>(), [json!(1.0), json!(1.0)]);
    let size = size(&calls[1].input["Item"]);
    assert!(size < 1000, "{size} bytes");
}

/// ST-06, ST-13, TP-10: every record says when the table may take it: an hour after the end, in whole seconds.
#[tokio::test(flavor = "multi_thread")]
async fn every_record_has_a_time_to_live() {
    let (_, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let new = new_request();
    store.create(&new, START).await.unwrap();
    let end = (new.request.expires_at + REMEMBERED_FOR).as_secs();
    let claim = new.request.claim(&attempt(), b"code".to_vec(), (START, LEASE), op());
    let held = commit(&store, &new.request, claim).await;
    // Approved in its last second, it is redeemable beyond its end, and remembered from then on.
    let last = new.request.expires_at - std::time::Duration::from_secs(1);
    commit(&store, &held, held.approve(held.fence, b"tokens".to_vec(), last, op())).await;
    store.spend(&once(), START).await.unwrap();
    let guesses = device_grant_domain::CounterKey::from_stored("account#1");
    store.reserve(&guesses, 3, START).await.unwrap();

    let seen = proxy.taken().into_iter().map(|call| {
        let item = call.input.pointer("/Item/ttl/N");
        item.or_else(|| call.input.pointer("/ExpressionAttributeValues/:ttl/N")).cloned()
    });
    let code = new.user_code_reusable_at.as_secs().max(end);
    let expected = [Some(code), Some(end), None, Some(end + 9), Some(START.as_secs()), Some(START.as_secs())];
    let expected = expected.map(|seconds| seconds.map(|seconds| json!(seconds.to_string())));
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

/// ST-13: the token set is out of the item with the write that hands it over.
#[tokio::test(flavor = "multi_thread")]
async fn a_handed_over_token_set_is_out_of_the_item() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let request = approved(&direct, vec![1; 30_000]).await;
    store.load(&request.id, Consistency::Strong).await.unwrap();
    assert!(proxy.taken()[0].output.pointer("/Item/payload").is_some());
    commit(&store, &request, request.redeem(START, op())).await;
    proxy.taken();
    store.load(&request.id, Consistency::Strong).await.unwrap();
    let item = &proxy.taken()[0].output["Item"];
    assert_eq!(item["state"]["S"], "redeemed");
    assert_eq!(item.get("payload"), None);
    assert!(size(item) < 1000);
}

/// ST-07: a code is looked up by two strongly consistent reads by key: no index, no scan.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_looked_up_by_key() {
    let (direct, config) = new_store().await;
    let proxy = Proxy::before(&config).await;
    let store = proxy.store(&config).await;
    let new = new_request();
    direct.create(&new, START).await.unwrap();
    store.find_by_user_code(&[new.user_code]).await.unwrap().unwrap();
    let calls = proxy.taken();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!((call.operation.as_str(), &call.input["ConsistentRead"]), ("GetItem", &json!(true)));
    }
}

fn units(call: &Exchange) -> Value {
    call.output["ConsumedCapacity"]["CapacityUnits"].clone()
}

/// The size of an item as DynamoDB counts it: names, text and bytes as they are, a number by its digits, three bytes
/// for a list and one for each of its elements.
fn size(item: &Value) -> usize {
    let attributes = item.as_object().unwrap().iter();
    attributes.map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len(),
        ("N", Value::String(digits)) => digits.len().div_ceil(2) + 1,
        ("B", Value::String(base64)) => base64.len() / 4 * 3,
        ("L", Value::Array(elements)) => {
            3 + elements.iter().map(|element| 1 + value_size(element)).sum::<usize>()
        }
        other => panic!("{other:?}"),
    }
}
