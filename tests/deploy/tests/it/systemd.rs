//! `deploy/systemd/`.

use std::fs;
use std::path::PathBuf;

use deploy_tests::{moved, program, read, run, scratch, variables};

/// The exposure that systemd computes, in tenths: 0 would be a service that can do nothing at all, 96 one without a single
/// restriction.
const MOST_EXPOSURE: &str = "12";
const UNIT: &str = "deploy/systemd/device-grant.service";

/// The unit with a program that every machine has, and some of its places exchanged.
fn unit(name: &str, places: &[(&str, &str)]) -> PathBuf {
    let text = moved(&read(UNIT).unwrap(), &[("/usr/bin/device-grant serve", "/bin/true serve")]).unwrap();
    let file = scratch(name).unwrap().join("device-grant.service");
    fs::write(&file, moved(&text, places).unwrap()).unwrap();
    file
}

fn verify(unit: &PathBuf) -> (bool, String) {
    let (content, said) = run(program("systemd-analyze").args(["verify", "--man=no"]).arg(unit)).unwrap();
    // It is content with keys that it does not know, and says so all the same.
    (content && !said.contains("device-grant.service"), said)
}

fn is_hardened(unit: &PathBuf) -> (bool, String) {
    let mut command = program("systemd-analyze");
    command.args(["security", "--offline=true", "--threshold", MOST_EXPOSURE, "--no-pager"]).arg(unit);
    run(&mut command).unwrap()
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let (good, said) = verify(&unit("systemd", &[]));
    assert!(good, "{said}");
    let (good, said) = verify(&unit("systemd-misspelt", &[("ProtectSystem=", "ProtectSytsem=")]));
    assert!(!good && said.contains("ProtectSytsem"), "{said}");
}

#[test]
fn the_unit_may_do_little_but_serve() {
    let (good, said) = is_hardened(&unit("systemd-hard", &[]));
    assert!(good, "{said}");
    let soft = [("CapabilityBoundingSet=\n", ""), ("ProtectSystem=strict\n", "")];
    assert!(!is_hardened(&unit("systemd-soft", &soft)).0, "the check is content with anything");
}

/// Whoever is killed while it drains has lost the requests that it was about to answer.
#[test]
fn the_unit_waits_for_the_drain_and_names_settings_that_there_are() {
    let text = read(UNIT).unwrap();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
    let reference = read("docs/configuration.md").unwrap();
    let default = |key: &str| -> u64 {
        let row = reference.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
        row.split('|').nth(3).unwrap().trim().trim_matches('`').parse().unwrap()
    };
    let patience: u64 = value("TimeoutStopSec=").trim_end_matches('s').parse().unwrap();
    assert!(patience > default("drain_delay_s") + default("drain_timeout_s") + 3, "{patience}");
    let files: u64 = value("LimitNOFILE=").parse().unwrap();
    assert!(files > default("max_connections") + 256, "{files}");
    let variable = value("Environment=");
    assert!(variables().unwrap().contains(variable.split('=').next().unwrap()), "{variable}");
}
