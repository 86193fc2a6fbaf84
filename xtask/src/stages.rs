//! `cargo xtask test`: the stages, and the table of how they went.

mod book;
mod deny;
mod tree;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::{command, parts, rows};

/// The binary as it is built for AWS Lambda.
const LAMBDA: &str = "-p device-grant --features lambda";

/// Which stages run, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out what needs the real parts (Keycloak, `DynamoDB` Local, Chromium, haproxy, nginx, buildah, Go).
    #[arg(long, conflicts_with = "only")]
    quick: bool,
    /// Run these stages only.
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "STAGE")]
    only: Vec<Stage>,
    /// A clone of the `RustSec` advisory database, for machines whose network does not reach it.
    #[arg(long, env = "ADVISORY_DB", value_name = "DIR")]
    advisory_db: Option<PathBuf>,
}

/// One stage of the tests, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Fetch the real parts.
    Parts,
    /// The format of the code.
    Fmt,
    /// Lints, with warnings denied.
    Clippy,
    /// Crates that must not be built.
    Tree,
    /// Licences, sources and known weaknesses of what is built.
    Deny,
    /// `docs/conformance.md` against the tests.
    Rows,
    /// The book of `docs/`: it builds without a warning, holds every page, and no link in it is broken.
    Book,
    /// Unit, property and HTTP tests.
    Units,
    /// The store suite on `DynamoDB` Local.
    Stores,
    /// The release binary.
    Release,
    /// Every order of the steps of one request, and simulated logins.
    Models,
    /// Clients that others wrote.
    Interop,
    /// The whole system on real parts, with a browser.
    E2e,
    /// What is in `deploy/`: its own linters, the real program, and a trial on a stand-in for AWS.
    Deploy,
    /// Logins while replicas are killed, the store is away and the pool stands still; rolling restarts.
    Chaos,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    NotReached,
    LeftOut,
}

/// Runs the stages: all of them, those of `only`, or with `quick` those that need no real part.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { quick, only, .. } = options;
    let (mut table, mut notes) = (Vec::new(), Vec::new());
    let mut failure = None;
    for &stage in Stage::value_variants() {
        let chosen = only.is_empty() || only.contains(&stage);
        let outcome = if !chosen || *quick && stage.needs_parts() {
            Outcome::LeftOut
        } else if failure.is_some() {
            Outcome::NotReached
        } else {
            println!("\n=== {} : {}", stage.name(), stage.help());
            let (took, result) = timed(|| stage.run(options));
            match result {
                Ok(note) => {
                    notes.extend(note);
                    Outcome::Passed(took)
                }
                Err(problem) => {
                    eprintln!("\n{} failed: {problem:#}", stage.name());
                    failure = Some(stage);
                    Outcome::Failed(took)
                }
            }
        };
        table.push((stage, outcome));
    }
    print_table(&table);
    for note in notes {
        println!("!!! {note}\n");
    }
    if let Some(stage) = failure {
        bail!("the stage `{}` failed", stage.name());
    }
    if *quick {
        println!(
            "The real parts were left out (Keycloak, DynamoDB Local, Chromium, haproxy, nginx, buildah, Go): run without --quick."
        );
    }
    Ok(())
}

fn print_table(table: &[(Stage, Outcome)]) {
    println!("\n{:<10} {:>9}  result", "stage", "time");
    let mut total = Duration::ZERO;
    for (stage, outcome) in table {
        let (took, word) = match outcome {
            Outcome::Passed(took) => (Some(*took), "passed"),
            Outcome::Failed(took) => (Some(*took), "FAILED"),
            Outcome::NotReached => (None, "not reached"),
            Outcome::LeftOut => (None, "left out"),
        };
        total += took.unwrap_or_default();
        println!("{:<10} {:>9}  {word}", stage.name(), took.map_or_else(|| "-".to_owned(), minutes));
    }
    println!("{:<10} {:>9}\n", "all", minutes(total));
}

fn minutes(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

#[expect(clippy::disallowed_methods, reason = "how long a stage took is the real clock's business")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

impl Stage {
    fn name(self) -> String {
        self.to_possible_value().expect("no stage is hidden").get_name().to_owned()
    }

    fn help(self) -> String {
        self.to_possible_value()
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default()
    }

    fn needs_parts(self) -> bool {
        matches!(self, Self::Parts | Self::Stores | Self::E2e | Self::Deploy | Self::Chaos)
    }

    /// Returns what must not go unnoticed though the stage has passed.
    fn run(self, Options { quick, advisory_db, .. }: &Options) -> anyhow::Result<Option<String>> {
        match self {
            Self::Parts => parts::fetch(),
            Self::Fmt => cargo("fmt --all --check"),
            Self::Clippy => cargo("clippy --workspace --all-targets --locked -- -D warnings")
                .and_then(|()| cargo(&format!("clippy {LAMBDA} --all-targets --locked -- -D warnings")))
                // The fuzz targets are a workspace of their own: what they call must still be there.
                .and_then(|()| cargo("check --manifest-path fuzz/Cargo.toml --locked")),
            Self::Tree => tree::check(),
            Self::Deny => return deny::check(advisory_db.as_deref()),
            Self::Rows => rows::run(false),
            Self::Book => book::check(),
            Self::Units => cargo(
                "test --workspace --locked --exclude chaos --exclude deploy-tests --exclude e2e --exclude interop --exclude models --exclude device-grant-store-dynamodb",
            )
            .and_then(|()| cargo(&format!("test {LAMBDA} --locked lambda"))),
            Self::Stores => cargo("test --locked -p device-grant-store-dynamodb"),
            Self::Release => build_release(),
            Self::Models => cargo("test --release --locked -p models"),
            // What starts Go lies in the module `go`.
            Self::Interop if *quick => cargo("test --locked -p interop -- --skip go::"),
            Self::Interop => cargo("test --locked -p interop"),
            Self::E2e => cargo("test --locked -p e2e"),
            Self::Deploy => cargo("test --locked -p deploy-tests"),
            // The tables of the runs are worth a look.
            Self::Chaos => cargo("test --locked -p chaos -- --show-output"),
        }?;
        Ok(None)
    }
}

/// The binary that the whole-system tests start.
pub(crate) fn build_release() -> anyhow::Result<()> {
    cargo("build --release --locked -p device-grant")
}

fn cargo(arguments: &str) -> anyhow::Result<()> {
    let mut command = command::new("cargo");
    command.args(arguments.split(' '));
    println!("$ {}", command::shown(&command));
    command::run(&mut command)
}
