//! Device clients that we did not write log in against the real binary: what the tests need for it.

mod browser;
mod demo;
mod page;
mod person;

pub use browser::{Browser, Step};
pub use demo::{Demo, binary};
pub use page::{Entries, Page};
pub use person::Person;
