//! Tools that are Go programs: what charts and compose files are checked with.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::command;

/// Each program with the package that it is, and the version of its module.
const TOOLS: [(&str, &str, &str); 3] = [
    ("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0"),
    // It carries the schemas of Kubernetes with it.
    ("kubectl-validate", "sigs.k8s.io/kubectl-validate", "v0.0.4"),
    // The reference implementation, which `docker compose` itself reads files with. Its package is called `cmd`.
    ("compose-spec", "github.com/compose-spec/compose-go/v2/cmd", "v2.16.2"),
];

/// What the part is made from.
pub(super) fn mark() -> String {
    TOOLS.map(|(program, package, version)| format!("{program} {version} ({package})")).join("\n")
}

/// Builds the programs into the directory.
pub(super) fn make(directory: &Path) -> anyhow::Result<()> {
    for (program, package, version) in TOOLS {
        let mut go = command::new("go");
        go.env("GOBIN", directory).env("CGO_ENABLED", "0");
        command::run(go.args(["install", &format!("{package}@{version}")]))?;
        let built = directory.join(package.rsplit('/').next().unwrap_or(package));
        fs::rename(&built, directory.join(program))
            .with_context(|| format!("go has built no {}", built.display()))?;
    }
    Ok(())
}
