//! The contract, held by the store in memory.

use std::future::{Ready, ready};
use std::sync::Arc;

use device_grant_store_embedded::MemoryStore;
use device_grant_testkit::store_suite::Store;

fn open() -> Ready<(Store, ())> {
    ready((Arc::new(MemoryStore::default()), ()))
}

device_grant_testkit::store_suite!(open);
