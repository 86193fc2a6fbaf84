//! The `CloudFormation` template and the tools that judge it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use device_grant_testkit::parts;
use serde_json::Value;

use crate::root;

/// Reads a template with its short forms (`!Ref`) written out, and prints it as JSON.
const TO_JSON: &str =
    "import json, sys; from cfnlint.decode import decode; print(json.dumps(decode(sys.argv[1])[0]))";

/// The template that operators deploy.
#[derive(Debug)]
pub struct Template {
    /// Where it lies.
    pub path: PathBuf,
    /// As it is written.
    pub text: String,
    json: Value,
}

/// What a tool says of a template.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it has nothing to say.
    pub clean: bool,
    /// What it has printed.
    pub output: String,
}

impl Template {
    /// The one of `deploy/cloudformation/`.
    ///
    /// # Panics
    /// When it cannot be read, or the tools have not been fetched (`cargo xtask parts`).
    pub fn get() -> &'static Self {
        // Python takes a second to start.
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        TEMPLATE.get_or_init(Self::read)
    }

    fn read() -> Self {
        let path = root().join("deploy/cloudformation/device-grant.yaml");
        let text = fs::read_to_string(&path).expect("deploy/cloudformation has its template");
        let printed = run(tool("python").args(["-c", TO_JSON]).arg(&path));
        let json = serde_json::from_str(&printed.output);
        let json = json.unwrap_or_else(|problem| panic!("{problem}: {}", printed.output));
        Self { path, text, json }
    }

    /// What lies at that JSON pointer.
    ///
    /// # Panics
    /// When nothing does.
    pub fn at(&self, pointer: &str) -> &Value {
        self.json.pointer(pointer).unwrap_or_else(|| panic!("the template has no {pointer}"))
    }

    /// The properties of a resource.
    pub fn properties(&self, resource: &str) -> &Value {
        self.at(&format!("/Resources/{resource}/Properties"))
    }

    /// The text with `old` replaced, wherever it stands.
    ///
    /// # Panics
    /// When it stands nowhere: the test would try nothing.
    pub fn with(&self, old: &str, new: &str) -> String {
        assert!(self.text.contains(old), "the template has no {old:?}");
        self.text.replace(old, new)
    }
}

/// What `cfn-lint` says, warnings among it.
pub fn cfn_lint(template: &Path) -> Verdict {
    run(tool("cfn-lint").arg(template))
}

/// What `checkov` says.
pub fn checkov(template: &Path) -> Verdict {
    let mut checkov = tool("checkov");
    checkov.args(["--framework", "cloudformation", "--compact", "--quiet", "--skip-download"]);
    run(checkov.arg("--file").arg(template))
}

/// A program of the part `aws-tools`.
pub(crate) fn tool(name: &str) -> Command {
    Command::new(parts::directory("aws-tools").join("bin").join(name))
}

pub(crate) fn run(command: &mut Command) -> Verdict {
    let output = command.output().unwrap_or_else(|problem| panic!("{command:?} does not start: {problem}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = if output.status.success() {
        text(&output.stdout)
    } else {
        text(&output.stdout) + &text(&output.stderr)
    };
    Verdict { clean: output.status.success(), output: printed }
}
