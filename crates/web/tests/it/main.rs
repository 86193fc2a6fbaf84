//! The HTTP face, tried over its router with a real upstream client and the development pool.
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod app;
mod attacks;
mod audit;
mod browser;
mod callback;
mod client_auth;
mod device_authorization;
mod device_page;
mod hostile;
mod metadata;
mod policies;
mod poll;
mod races;
mod refresh;
mod sample_way;
mod sign_in;
