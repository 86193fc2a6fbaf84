//! A place for a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use device_grant_testkit::store_suite::samples::unique;

/// A directory of its own, gone when this is dropped.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        let name = format!("{}-{}", process::id(), unique("store"));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// Where the store is.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("device-grant.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What a failed test leaves behind is of use.
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
