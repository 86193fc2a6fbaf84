//! One binary, so that all tests share one set of parts.

mod accounts;
mod attacks;
mod callbacks;
mod fixation;
mod gatekeeper;
mod on_approval;
mod parts;
mod redirects;
mod replays;
mod sessions;
mod store;
mod television;
