//! `cargo xtask soak`: what takes longer than the tests may.

use crate::{command, fuzz, parts, stages};

/// For how long each fuzz target runs.
const FUZZ_SECONDS: u32 = 60;

/// Lets logins run in the chaos for so many minutes, then fuzzes.
pub(crate) fn run(minutes: u32, seed: Option<u64>) -> anyhow::Result<()> {
    parts::fetch()?;
    stages::build_release()?;
    let mut chaos = command::new("cargo");
    chaos.args(["run", "--quiet", "--locked", "-p", "chaos", "--"]);
    chaos.args(["--seconds", &(minutes * 60).to_string()]);
    if let Some(seed) = seed {
        chaos.args(["--seed", &seed.to_string()]);
    }
    command::run(&mut chaos)?;
    fuzz::run(FUZZ_SECONDS, &[])
}
