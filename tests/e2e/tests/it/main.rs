//! One binary, so that all tests share one set of parts.

mod accounts;
mod attacks;
mod callbacks;
mod parts;
mod sessions;
mod store;
mod television;
