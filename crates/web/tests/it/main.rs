//! The HTTP face, tried over its router with a real upstream client and the development pool.
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod altered;
mod app;
mod at_rest;
mod attacks;
mod audit;
mod browser;
mod callback;
mod cancel;
mod client_assertion;
mod client_auth;
mod device_authorization;
mod device_page;
mod directory;
mod dpop;
mod guessing;
mod hostile;
mod keys;
mod load;
mod logged;
mod metadata;
mod pace;
mod policies;
mod poll;
mod pool_calls;
mod races;
mod redelivery;
mod refresh;
mod refresh_races;
mod registry;
mod sample_way;
mod secret_guessing;
mod sign_in;
mod signer;
mod transport;
