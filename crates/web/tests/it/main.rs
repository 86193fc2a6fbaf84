//! The HTTP face, tried over its router with a real upstream client and the development pool.
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod app;
mod browser;
mod callback;
mod client_assertion;
mod client_auth;
mod device_authorization;
mod device_page;
mod dpop;
mod guessing;
mod hostile;
mod metadata;
mod poll;
mod races;
mod refresh;
mod sample_way;
mod signer;
