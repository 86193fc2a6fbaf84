//! One module for each command.

pub(crate) mod demo;
pub(crate) mod login;
