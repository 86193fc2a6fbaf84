//! Tools that are Go programs: what charts and compose files are checked with.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::command;

/// Each program with the package that it is, and the version of its module.
const TOOLS: [(&str, &str, &str); 3] = [
    ("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0"),
    // It carries the schemas of Kubernetes with it.
    ("kubectl-validate", "sigs.k8s.io/kubectl-validate", "v0.0.4"),
    // The reference implementation, which `docker compose` itself reads files with. Its package is called `cmd`.
    ("compose-spec", "github.com/compose-spec/compose-go/v2/cmd", "v2.16.2"),
];

/// Where the definition of `ServiceMonitor` is: a kind that comes with an operator, not with Kubernetes.
const OPERATOR: &str = "github.com/prometheus-operator/prometheus-operator@v0.80.1";
const DEFINITION: &str = "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml";

/// What the part is made from.
pub(super) fn mark() -> String {
    let tools = TOOLS.map(|(program, package, version)| format!("{program} {version} ({package})"));
    format!("{}\n{OPERATOR}", tools.join("\n"))
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
    definition(&directory.join("crds"))
}

/// Puts the definition of `ServiceMonitor` into a directory of its own.
fn definition(directory: &Path) -> anyhow::Result<()> {
    let told = command::output("go", ["mod", "download", "-json", OPERATOR])?;
    let told: Value = serde_json::from_str(&told).context("go does not say where it has put a module")?;
    let module = Path::new(told["Dir"].as_str().context("go has put the module nowhere")?);
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let copied = fs::copy(module.join(DEFINITION), directory.join("servicemonitors.yaml"));
    copied.map(drop).with_context(|| format!("{OPERATOR} has no {DEFINITION}"))
}
