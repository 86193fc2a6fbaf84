//! What only a file can do: be opened again, by two, by an older version, and be broken.

use std::error::Error as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::request::REMEMBERED_FOR;
use device_grant_domain::store::{Consistency, RequestStore};
use device_grant_domain::{OnceKey, RequestId, Timestamp};
use device_grant_store_embedded::{EmbeddedStore, MemoryStore, OpenError};
use device_grant_testkit::store_suite::samples::{
    START, approved, attempt, authorized, denied, new_request, once, pending, redeemed,
};
use rusqlite::Connection;

use crate::support::Place;

/// ST-11: a restart loses no request, code, trip or counter.
#[tokio::test]
async fn a_file_opened_again_has_everything() {
    let place = Place::new();
    let store = EmbeddedStore::open(place.file()).unwrap();
    let new = new_request();
    store.create(&new, START).await.unwrap();
    let trip = once();
    assert!(store.spend(&trip, START).await.unwrap());
    let guesses = device_grant_domain::CounterKey::from_stored("account#1");
    assert!(store.reserve(&guesses, 1, START).await.unwrap());
    let before = [
        new.request,
        authorized(&store).await,
        approved(&store, vec![1; 30_000]).await,
        redeemed(&store).await,
        denied(&store).await,
    ];
    drop(store);

    let store = EmbeddedStore::open(place.file()).unwrap();
    for request in before {
        assert_eq!(store.load(&request.id, Consistency::Strong).await.unwrap(), Some(request));
    }
    assert!(store.find_by_user_code(&[new.user_code]).await.unwrap().is_some());
    assert!(!store.spend(&trip, START).await.unwrap());
    assert!(!store.reserve(&guesses, 1, START).await.unwrap());
    store.check().await.unwrap();
}

/// ST-11, CB-01, DP-01: a file of the first version is brought up to date: what was spent in it stays spent, and its
/// requests are tied to no key.
#[tokio::test]
async fn an_older_file_is_brought_up_to_date() {
    let place = Place::new();
    let trip = attempt();
    let old = Connection::open(place.file()).unwrap();
    old.execute_batch(include_str!("../../migrations/0001-tables.sql")).unwrap();
    old.execute("INSERT INTO attempts (id, forget_at) VALUES (?1, 0)", [trip.as_str()]).unwrap();
    let mailbox = new_request().request.mailbox;
    let insert = "INSERT INTO requests VALUES ('R', 'tv', '', 'openid', 1, 2, 5, ?1, x'', 1, 'op', 0, '', 'pending', \
                  NULL, NULL, NULL, NULL, 9)";
    old.execute(insert, [mailbox.as_bytes()]).unwrap();
    old.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(old);

    let store = EmbeddedStore::open(place.file()).unwrap();
    store.check().await.unwrap();
    assert!(!store.spend(&OnceKey::attempt(&trip), START).await.unwrap());
    let request = store.load(&RequestId::from_stored("R"), Consistency::Strong).await.unwrap().unwrap();
    assert_eq!((request.mailbox, request.dpop_jkt, request.counted_from), (mailbox, None, None));
}

/// Two owners of one file are refused, also under another name of it.
#[tokio::test]
async fn a_file_has_one_owner() {
    let place = Place::new();
    let first = EmbeddedStore::open(place.file()).unwrap();
    let other_name = place.file().with_file_name("other.db");
    #[cfg(unix)]
    std::os::unix::fs::symlink(place.file(), &other_name).unwrap();
    for name in [place.file(), other_name] {
        let refused = EmbeddedStore::open(name).err().unwrap();
        assert!(matches!(refused, OpenError::InUse { .. }));
        assert!(refused.to_string().contains("is in use by another process"), "{refused}");
    }
    pending(&first).await;
    drop(first);
    EmbeddedStore::open(place.file()).unwrap();
}

/// A file that a newer version made is left as it is, and so is one that is no database.
#[test]
fn a_foreign_file_is_refused() {
    let place = Place::new();
    drop(EmbeddedStore::open(place.file()).unwrap());
    Connection::open(place.file()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = EmbeddedStore::open(place.file()).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }));
    assert!(refused.to_string().contains("made by a newer version (schema 99"), "{refused}");

    let text = place.file().with_file_name("text.db");
    fs::write(&text, "this is no database ".repeat(100)).unwrap();
    let refused = EmbeddedStore::open(&text).err().unwrap();
    assert!(matches!(refused, OpenError::Sqlite { .. }));
    assert!(refused.to_string().contains("text.db as a store: file is not a database"), "{refused}");

    let nowhere = EmbeddedStore::open(place.file().join("below")).err().unwrap();
    assert!(matches!(nowhere, OpenError::Io { .. }));
}

/// A row that cannot be read is a fault that names table, key and column, and no panic; the others are not concerned.
#[tokio::test]
async fn a_broken_row_is_named() {
    let place = Place::new();
    let store = EmbeddedStore::open(place.file()).unwrap();
    let other = Connection::open(place.file()).unwrap();
    let broken =
        [("state", "'lost'"), ("mailbox", "x'00'"), ("client", "''"), ("version", "-1"), ("scope", "'\"'")];
    for (column, value) in broken {
        let request = authorized(&store).await;
        let id = request.id.as_str();
        other.execute(&format!("UPDATE requests SET {column} = {value} WHERE id = ?1"), [id]).unwrap();
        let fault = store.load(&request.id, Consistency::Strong).await.unwrap_err();
        let told = fault.source().unwrap().to_string();
        let expected = format!("table requests, key {id}, column {column}");
        assert!(told.ends_with(&expected), "{told}");
    }
    let whole = authorized(&store).await;
    other.execute("UPDATE requests SET payload = NULL WHERE id = ?1", [whole.id.as_str()]).unwrap();
    let fault = store.load(&whole.id, Consistency::Strong).await.unwrap_err();
    assert!(fault.to_string().contains("column payload"), "{fault}");
    let whole = pending(&store).await;
    assert_eq!(store.load(&whole.id, Consistency::Strong).await.unwrap(), Some(whole));
}

/// ST-06, ST-13: the sweep takes what is past its time, and nothing before.
#[tokio::test]
async fn the_sweep_takes_what_is_over() {
    let place = Place::new();
    let file = Arc::new(EmbeddedStore::open(place.file()).unwrap());
    let memory = Arc::new(MemoryStore::default());
    let over = swept(&*file, async |now| file.sweep(now).await.map(drop).unwrap()).await;
    assert_eq!(over, swept(&*memory, async |now| memory.sweep(now)).await);
    assert_eq!(over, [true, true, true, true]);
    let rows = Connection::open(place.file()).unwrap().query_row(
        "SELECT (SELECT count(*) FROM user_codes) + (SELECT count(*) FROM counters)",
        (),
        |row| row.get::<_, u32>(0),
    );
    assert_eq!(rows, Ok(0));
}

/// Whether request, code, trip and counter are gone at the end, after finding them there until the end.
async fn swept(store: &dyn RequestStore, sweep: impl AsyncFn(Timestamp)) -> [bool; 4] {
    let new = new_request();
    store.create(&new, START).await.unwrap();
    let (id, place) = (new.request.id.clone(), [new.user_code.clone()]);
    let end = new.request.expires_at + REMEMBERED_FOR;
    let trip = once();
    store.spend(&trip, end).await.unwrap();
    let guesses = device_grant_domain::CounterKey::from_stored("account#1");
    store.reserve(&guesses, 1, end).await.unwrap();

    sweep(end - Duration::from_millis(1)).await;
    assert!(store.load(&id, Consistency::Strong).await.unwrap().is_some());
    assert!(store.find_by_user_code(&place).await.unwrap().is_some());
    assert!(!store.spend(&trip, end).await.unwrap());
    assert!(!store.reserve(&guesses, 1, end).await.unwrap());
    sweep(end).await;
    let gone = [
        store.load(&id, Consistency::Strong).await.unwrap().is_none(),
        store.find_by_user_code(&place).await.unwrap().is_none(),
        store.spend(&trip, end).await.unwrap(),
        store.reserve(&guesses, 1, end).await.unwrap(),
    ];
    sweep(end).await;
    gone
}
