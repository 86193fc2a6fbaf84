//! The contract, held by the store in a file.

use std::future::{Ready, ready};
use std::sync::Arc;

use device_grant_store_embedded::{EmbeddedStore, MemoryStore};
use device_grant_testkit::store_suite::{Records, Store, agrees_with_the_oracle};

use crate::support::Place;

fn open() -> Ready<(Store, Place)> {
    let place = Place::new();
    ready((Arc::new(EmbeddedStore::open(place.file()).unwrap()), place))
}

device_grant_testkit::store_suite!(open);

fn open_records() -> Ready<(Records, Place)> {
    let place = Place::new();
    ready((Arc::new(EmbeddedStore::open(place.file()).unwrap()), place))
}

device_grant_testkit::record_suite!(open_records);

/// ST-01: whatever is done to it, in whatever order, the file says what the oracle says.
#[tokio::test]
async fn a_random_sequence_agrees_with_the_oracle() {
    for seed in 0..12 {
        let (store, _place) = open().await;
        agrees_with_the_oracle(store, Arc::new(MemoryStore::default()), seed, 400).await;
    }
}
