use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Process, directory, free_port};

/// `DynamoDB` Local in memory, on a port of loopback of its own; it ends when this is dropped.
#[derive(Debug)]
pub struct DynamoDbLocal {
    process: Process,
    endpoint_url: String,
}

impl DynamoDbLocal {
    /// Starts one with no table in it. Any access key, any region: all see the same tables.
    ///
    /// # Panics
    /// When it has not been fetched (`cargo xtask parts`) or does not start.
    pub fn start() -> Self {
        // Somebody else may take the port between finding and using it.
        for _ in 0..2 {
            if let Ok(started) = Self::try_start() {
                return started;
            }
        }
        Self::try_start().unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The one that all tests of this process share; each test makes a table of its own name in it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<DynamoDbLocal> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// What the configuration calls `store.endpoint_url`.
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    fn try_start() -> Result<Self, String> {
        let home = directory("dynamodb-local");
        let port = free_port();
        let mut java = Command::new("java");
        java.env("LD_PRELOAD", home.join("loopback.so"));
        java.args(["-Xms64m", "-Xmx512m", "-Djava.net.preferIPv4Stack=true", "-cp"]).arg(home.join("lib/*"));
        java.arg("software.amazon.dynamodb.services.local.main.ServerRunner");
        java.args(["-inMemory", "-sharedDb", "-disableTelemetry", "-port", &port.to_string()]);
        let mut process = Process::start("dynamodb-local", &java);
        process.wait_for_http(port, "/", Duration::from_mins(1))?;
        Ok(Self { process, endpoint_url: format!("http://127.0.0.1:{port}") })
    }
}
