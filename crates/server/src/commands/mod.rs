//! The commands, one file each.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod migrate;
mod replica;
pub(crate) mod serve;
