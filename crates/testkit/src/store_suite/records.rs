//! Records: clients, and what is known of keys.

use std::sync::Arc;

use device_grant_domain::records::{Record, RecordKind, RecordStore};
use tokio::task::JoinSet;

use super::samples::unique;

/// A store to try.
pub type Records = Arc<dyn RecordStore>;

/// A record comes back as it was put, replaces the version that it names and no other, and goes when it is removed.
pub async fn a_record_replaces_the_version_that_it_names(store: Records) {
    let (one, other) = (unique("client"), unique("client"));
    assert_eq!(get(&store, &one).await, None);
    assert!(!put(&store, &one, "early", 1).await, "nothing stands there to be replaced");
    assert!(put(&store, &one, "first", 0).await);
    assert!(!put(&store, &one, "again", 0).await, "something stands there");
    assert!(put(&store, &one, "second", 1).await);
    assert!(!put(&store, &one, "late", 1).await, "another write came first");
    assert_eq!(get(&store, &one).await, Some(Record { version: 2, data: "second".to_owned() }));
    assert_eq!(get(&store, &other).await, None);
    assert!(store.remove_record(RecordKind::Client, &one).await.expect("an answer"));
    assert!(!store.remove_record(RecordKind::Client, &one).await.expect("an answer"));
    assert_eq!(get(&store, &one).await, None);
    assert!(put(&store, &one, "anew", 0).await);
}

/// Of many who replace one version at once one wins.
pub async fn one_of_many_replaces_a_record(store: Records) {
    let id = unique("client");
    for replaces in 0..4 {
        let mut writers = JoinSet::new();
        for n in 0..12 {
            let (store, id) = (Arc::clone(&store), id.clone());
            writers.spawn(async move { put(&store, &id, &n.to_string(), replaces).await });
        }
        let won = writers.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1);
        assert_eq!(get(&store, &id).await.expect("it is there").version, replaces + 1);
    }
}

/// All records of a kind are listed, whatever their ids look like, and none of another kind.
pub async fn records_are_listed_by_kind(store: Records) {
    let ids = ["a", "A", "a b", "ü", "C#a", "R#x", "%", "a\"'\\"].map(|id| format!("{id}{}", unique("")));
    for id in &ids {
        assert!(put(&store, id, id, 0).await);
    }
    assert!(store.put_record(RecordKind::Key, &ids[0], ("a key", 0), None).await.expect("an answer"));
    let listed = store.records(RecordKind::Client).await.expect("an answer");
    for id in &ids {
        assert!(listed.iter().any(|(found, record)| found == id && record.data == *id), "{id}: {listed:?}");
    }
    assert!(listed.iter().all(|(_, record)| record.data != "a key"));
}

async fn put(store: &Records, id: &str, data: &str, replaces: u64) -> bool {
    store.put_record(RecordKind::Client, id, (data, replaces), None).await.expect("an answer")
}

async fn get(store: &Records, id: &str) -> Option<Record> {
    store.record(RecordKind::Client, id).await.expect("an answer")
}
