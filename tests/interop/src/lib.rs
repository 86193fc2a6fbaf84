//! Device clients that we did not write log in against the real binary: what the tests need for it.

mod demo;
mod person;

pub use demo::{Demo, binary};
pub use person::Person;
