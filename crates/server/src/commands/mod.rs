//! The commands, one file each.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod login;
pub(crate) mod migrate;
mod replica;
pub(crate) mod serve;

use std::path::Path;

use crate::config::DEFAULT_FILE;

/// The named file, or the one that is there.
fn config_file(named: Option<&Path>) -> Option<&Path> {
    named.or_else(|| Some(Path::new(DEFAULT_FILE)).filter(|file| file.exists()))
}
