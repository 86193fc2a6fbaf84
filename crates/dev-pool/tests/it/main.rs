//! The development pool over HTTP and in process.

mod faults;
mod grants;
mod login;
mod support;
mod tokens;
