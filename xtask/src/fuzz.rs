//! `cargo xtask fuzz`: every fuzz target for a bounded time, and the table of what they found.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{command, workspace};

/// The longest input. All limits of the parsers but that on long ID tokens are below it.
const LONGEST: u32 = 16 * 1024;

/// What became of one target.
struct Outcome {
    target: String,
    executions: String,
    new_entries: String,
    /// Where the input lies that it fails on, or where to read why it failed without one.
    failure: Option<String>,
}

/// Runs the targets of `only`, or all of them, for `seconds` each.
pub(crate) fn run(seconds: u32, only: &[String]) -> anyhow::Result<()> {
    command::install("fuzz")?;
    let targets = targets()?;
    if let Some(unknown) = only.iter().find(|name| !targets.contains(name)) {
        bail!("there is no target {unknown}; there are: {}", targets.join(", "));
    }
    command::run(cargo_fuzz("build").args(["--sanitizer", "none"])).context(
        "the targets are not built; is there a nightly compiler? (rustup toolchain install nightly)",
    )?;
    let chosen = targets.into_iter().filter(|target| only.is_empty() || only.contains(target));
    let outcomes = chosen.map(|target| fuzz(target, seconds)).collect::<anyhow::Result<Vec<_>>>()?;
    print_table(&outcomes);
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.failure.as_deref()).collect();
    if !failed.is_empty() {
        bail!("targets have failed; see {}", failed.join(", "));
    }
    Ok(())
}

fn targets() -> anyhow::Result<Vec<String>> {
    let manifest = fs::read_to_string(workspace::root().join("fuzz/Cargo.toml"))?;
    let targets = manifest.split("[[bin]]").skip(1).filter_map(|target| target.split('"').nth(1));
    Ok(targets.map(str::to_owned).collect())
}

fn cargo_fuzz(verb: &str) -> Command {
    let mut command = command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", verb, "--fuzz-dir", "fuzz"]);
    command
}

/// Inputs that are found go into the target directory; the seeds of the repository stay as they are.
fn fuzz(target: String, seconds: u32) -> anyhow::Result<Outcome> {
    println!("{target}: {seconds} seconds");
    let kept = workspace::target()?.join("fuzz").join(&target);
    fs::create_dir_all(kept.join("corpus"))?;
    let log = kept.join("log");
    let mut command = cargo_fuzz("run");
    // No code of ours is unsafe, so the address sanitizer would only be slow.
    command.args(["--sanitizer", "none", &target]).arg(kept.join("corpus"));
    command.arg(format!("fuzz/corpus/{target}")).arg("--");
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={LONGEST}"),
        "-timeout=10".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    let dictionary = format!("fuzz/dictionaries/{target}.dict");
    if workspace::root().join(&dictionary).is_file() {
        command.arg(format!("-dict={dictionary}"));
    }
    let status = command.stderr(File::create(&log)?).status()?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    Ok(outcome(target, status.success(), &text, &log))
}

fn outcome(target: String, is_good: bool, text: &str, log: &Path) -> Outcome {
    let after = |words: &str| text.lines().find_map(|line| Some(line.split_once(words)?.1.trim().to_owned()));
    let number = |name| after(name).unwrap_or_else(|| "-".to_owned());
    let input = || after("Test unit written to ").unwrap_or_else(|| log.display().to_string());
    Outcome {
        target,
        executions: number("stat::number_of_executed_units:"),
        new_entries: number("stat::new_units_added:"),
        failure: (!is_good).then(input),
    }
}

fn print_table(outcomes: &[Outcome]) {
    println!("\n{:<17} {:>11} {:>9}  result", "target", "executions", "new");
    for Outcome { target, executions, new_entries, failure } in outcomes {
        let result =
            failure.as_ref().map_or_else(|| "passed".to_owned(), |input| format!("FAILED on {input}"));
        println!("{target:<17} {executions:>11} {new_entries:>9}  {result}");
    }
    println!();
}
