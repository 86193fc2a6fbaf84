//! The contract, held by the store in memory.

use std::future::{Ready, ready};
use std::sync::Arc;

use device_grant_store_embedded::MemoryStore;
use device_grant_testkit::store_suite::{Records, Store};

fn open() -> Ready<(Store, ())> {
    ready((Arc::new(MemoryStore::default()), ()))
}

device_grant_testkit::store_suite!(open);

fn open_records() -> Ready<(Records, ())> {
    ready((Arc::new(MemoryStore::default()), ()))
}

device_grant_testkit::record_suite!(open_records);
