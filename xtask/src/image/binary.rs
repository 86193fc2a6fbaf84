//! The program, linked statically: it runs where there is nothing but itself.

use std::env;
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::{FEATURES, PACKAGE};
use crate::{command, workspace};

const PROFILE: &str = "dist";

/// What the program is compiled for.
pub(super) struct Target {
    triple: String,
    /// Whether the C library is linked statically only when it is asked for.
    asks_for_static: bool,
}

impl Target {
    /// musl where its target and its C compiler are installed, and glibc otherwise, for this machine's processor.
    pub(super) fn of_this_machine() -> anyhow::Result<Self> {
        let musl = format!("{ARCH}-unknown-linux-musl");
        let libraries = command::output("rustc", ["--print", "target-libdir", "--target", &musl])?;
        if Path::new(libraries.trim()).is_dir() && workspace::has_program("musl-gcc") {
            return Ok(Self { triple: musl, asks_for_static: false });
        }
        let triple = format!("{ARCH}-unknown-linux-gnu");
        println!("{musl} or musl-gcc is not there: the program is linked with glibc, statically ({triple})");
        Ok(Self { triple, asks_for_static: true })
    }

    pub(super) fn triple(&self) -> &str {
        &self.triple
    }

    /// Builds the program, and returns where it is.
    pub(super) fn build(&self) -> anyhow::Result<PathBuf> {
        let mut cargo = command::new("cargo");
        cargo.args([
            "build",
            "--locked",
            "--profile",
            PROFILE,
            "-p",
            PACKAGE,
            "--features",
            FEATURES,
            "--target",
            &self.triple,
        ]);
        let moved = moved_paths()?;
        let remap = |option: &str| moved.iter().map(|path| format!("{option}={path}")).collect::<Vec<_>>();
        let mut flags = remap("--remap-path-prefix");
        if self.asks_for_static {
            flags.push("-Ctarget-feature=+crt-static".to_owned());
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        let for_c = format!("CFLAGS_{}", self.triple.replace('-', "_"));
        cargo.env(for_c, remap("-ffile-prefix-map").join(" "));
        // For `__TIME__` in C. The same for every commit: what was built for another one is not built again.
        cargo.env("SOURCE_DATE_EPOCH", "0");
        println!("$ {}", command::shown(&cargo));
        command::run(&mut cargo)?;
        let binary = workspace::target()?.join(&self.triple).join(PROFILE).join(PACKAGE);
        ensure!(binary.is_file(), "cargo has built no {}", binary.display());
        Ok(binary)
    }
}

/// Where this machine keeps the sources, and what the program is told instead: two machines build the same one, and it
/// names nobody's home.
fn moved_paths() -> anyhow::Result<[String; 2]> {
    let registry = match env::var_os("CARGO_HOME") {
        Some(directory) => PathBuf::from(directory),
        None => env::home_dir().context("neither CARGO_HOME nor HOME is set")?.join(".cargo"),
    };
    Ok([format!("{}=/src", workspace::root().display()), format!("{}=/cargo", registry.display())])
}
