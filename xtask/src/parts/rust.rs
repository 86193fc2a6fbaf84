//! The standard library for static programs.

use std::env::consts::ARCH;

use crate::{command, workspace};

/// Asks rustup for it. Without it the image holds a program that is linked with glibc, so a machine without rustup, or
/// whose network does not reach its server, goes on.
pub(super) fn add_static_target() {
    if !workspace::has_program("rustup") {
        return println!("rustup: not there, so the image is linked with glibc");
    }
    let target = format!("{ARCH}-unknown-linux-musl");
    if let Err(problem) = command::run(command::new("rustup").args(["target", "add", &target])) {
        println!("rustup: {problem:#}, so the image is linked with glibc");
    }
}
