//! The binary as an operator meets it.

mod aws;
mod clients;
mod commands;
mod demo;
mod health;
mod hostile;
mod keys;
mod lambda;
mod pools;
mod serve;
mod support;
