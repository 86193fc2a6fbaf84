//! The upstream client against the development pool, honest and not.

mod alb;
mod calls;
mod cognito;
mod discovery;
mod id_tokens;
mod login;
mod refresh;
mod revoke;
mod secrecy;
mod support;
mod tls;
