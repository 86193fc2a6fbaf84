//! The stack on a stand-in for AWS.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use device_grant_testkit::parts::{Process, free_port};
use serde::Deserialize;
use serde_json::Value;

use crate::root;
use crate::template::{run, tool};

/// Which form of the service the stack has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute {
    /// Tasks.
    Fargate,
    /// A function.
    Lambda,
}

/// The template's stack on a moto server of its own, which ends when this is dropped.
///
/// It proves that the template's parts fit together, and it can be worked with: the table, the keys, the secret and the
/// user pool's clients are there behind [`Stack::endpoint_url`], with any access key, in the region eu-west-1. It does not
/// prove properties: moto passes over what it does not know.
#[derive(Debug)]
pub struct Stack {
    endpoint_url: String,
    made: Made,
    _moto: Process,
}

#[derive(Debug, Deserialize)]
struct Made {
    status: String,
    outputs: BTreeMap<String, String>,
    resources: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    rotation: BTreeMap<String, String>,
    table: Value,
    clients: BTreeMap<String, Value>,
}

impl Stack {
    /// Starts moto and makes the stack.
    ///
    /// # Panics
    /// When the part `aws-tools` has not been fetched (`cargo xtask parts`), or the stack cannot be made.
    pub fn create(compute: Compute) -> Self {
        let (moto, endpoint_url) = start_moto();
        let mut create = tool("python");
        create.arg(root().join("tests/deploy/src/moto_stack.py")).arg(&endpoint_url);
        create.arg(root().join("deploy/cloudformation/device-grant.yaml")).arg(format!("{compute:?}"));
        let printed = run(&mut create);
        assert!(printed.clean, "the stack cannot be made: {}\nmoto: {}", printed.output, moto.output());
        let made = serde_json::from_str(&printed.output);
        let made = made.unwrap_or_else(|problem| panic!("{problem}: {}", printed.output));
        Self { endpoint_url, made, _moto: moto }
    }

    /// Where all of AWS is: for `AWS_ENDPOINT_URL` and the like.
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// `CREATE_COMPLETE`, if all is well.
    pub fn status(&self) -> &str {
        &self.made.status
    }

    /// What an operator sees.
    pub fn outputs(&self) -> &BTreeMap<String, String> {
        &self.made.outputs
    }

    /// The physical id of each resource that moto knows, by its name in the template.
    pub fn resources(&self) -> &BTreeMap<String, String> {
        &self.made.resources
    }

    /// The variables that the service is started with.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.made.environment
    }

    /// The variables that the rotation of the pool client's secret is started with.
    pub fn rotation(&self) -> &BTreeMap<String, String> {
        &self.made.rotation
    }

    /// The table, as `DescribeTable` has it.
    pub fn table(&self) -> &Value {
        &self.made.table
    }

    /// The user pool's app clients, as `DescribeUserPoolClient` has them, by their names in the template.
    pub fn clients(&self) -> &BTreeMap<String, Value> {
        &self.made.clients
    }
}

fn start_moto() -> (Process, String) {
    // Somebody else may take the port between finding and using it.
    let started = (0..3).find_map(|_| {
        let port = free_port();
        let mut server = Command::new(tool("moto_server").get_program());
        server.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut moto = Process::start("moto", &server);
        moto.wait_for_http(port, "/moto-api/", Duration::from_mins(1)).ok()?;
        Some((moto, format!("http://127.0.0.1:{port}")))
    });
    started.expect("moto starts; target/parts/log says why not")
}
