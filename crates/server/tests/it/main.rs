//! The binary as an operator meets it.

mod commands;
mod demo;
mod serve;
mod support;
