//! One TLS stack (rustls 0.23), one crypto library (aws-lc-rs), one HTTP stack (hyper 1): the others must not be built.

use anyhow::bail;

use crate::command;

/// Crates that must not be built, each with the start of the version meant.
const BANNED: [(&str, &str); 6] = [
    ("ring", ""),
    ("openssl-sys", ""),
    ("native-tls", ""),
    ("hyper", "0.14."),
    ("rustls", "0.21."),
    ("rsa", ""),
];

/// Fails, naming the way to it, when a banned crate is part of any build of the workspace.
pub(super) fn check() -> anyhow::Result<()> {
    let tree = command::output(
        "cargo",
        [
            "tree",
            "--workspace",
            "--all-features",
            "--locked",
            "-e",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ],
    )?;
    let mut found = Vec::new();
    for (name, version) in BANNED {
        let wanted = format!("{name} v{version}");
        if let Some(line) = tree.lines().find(|line| line.starts_with(&wanted)) {
            let exact = line.split(' ').take(2).collect::<Vec<_>>().join("@").replace("@v", "@");
            eprintln!("{exact} is built, because of:");
            let why = ["tree", "--workspace", "--all-features", "--locked", "-e", "all", "-i", &exact];
            eprintln!("{}", command::output("cargo", why)?);
            found.push(exact);
        }
    }
    if !found.is_empty() {
        bail!("must not be built: {}", found.join(", "));
    }
    let names =
        BANNED.map(|(name, version)| format!("{name} {version}").trim_end_matches([' ', '.']).to_owned());
    println!("none of these is built: {}", names.join(", "));
    Ok(())
}
