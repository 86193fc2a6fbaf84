//! haproxy: ends TLS for every name, spreads requests over the replicas, and sends people over a third origin.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use device_grant_testkit::parts::Process;

use crate::certificates::Certificates;
use crate::{HOP, POOL};

/// A name that requests may be for, and who serves it.
pub struct Route<'a> {
    /// The name.
    pub name: &'a str,
    /// The ports of loopback that serve it in turn.
    pub ports: Vec<u16>,
    /// Further lines of its backend, such as health checks.
    pub options: &'a str,
}

impl<'a> Route<'a> {
    /// One without health checks.
    pub fn new(name: &'a str, ports: &[u16]) -> Self {
        Self { name, ports: ports.to_vec(), options: "" }
    }
}

/// Starts haproxy on `port`.
pub fn start(
    directory: &Path,
    port: u16,
    certificates: &Certificates,
    routes: &[Route<'_>],
) -> anyhow::Result<Process> {
    let file = directory.join("haproxy.cfg");
    fs::write(&file, configuration(port, certificates, routes)).context("haproxy's configuration")?;
    let mut haproxy = Command::new("haproxy");
    // Debian puts it where not everybody's path goes.
    let path = std::env::var_os("PATH").unwrap_or_default();
    haproxy
        .env("PATH", [path.as_os_str(), ":/usr/sbin".as_ref()].into_iter().collect::<std::ffi::OsString>());
    haproxy.arg("-db").arg("-f").arg(&file);
    let mut process = Process::start("haproxy", &haproxy);
    let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    process.wait(Duration::from_secs(20), listens).map_err(|problem| anyhow!(problem))?;
    Ok(process)
}

fn configuration(port: u16, certificates: &Certificates, routes: &[Route<'_>]) -> String {
    let mut text = format!(
        "global
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend tls
  bind 127.0.0.1:{port} ssl crt {bundle}
  http-request set-var(txn.name) req.hdr(host),field(1,:)
  http-request del-header X-Forwarded-For
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port {port}
  http-response set-header X-Served-By %s
  acl authorizes path_end /protocol/openid-connect/auth
  acl was_there url_param(detour) -m found
  acl for_pool var(txn.name) -m str {POOL}
  acl for_hop var(txn.name) -m str {HOP}
  http-request redirect code 302 location https://{HOP}:{port}%[pathq] if for_pool authorizes !was_there
  http-request redirect code 302 location https://{POOL}:{port}%[pathq]&detour=done if for_hop
",
        bundle = certificates.bundle.display(),
    );
    let mut backends = String::new();
    for Route { name, ports, options } in routes {
        let _ = writeln!(text, "  use_backend {name} if {{ var(txn.name) -m str {name} }}");
        let _ = write!(backends, "backend {name}\n  balance roundrobin\n{options}");
        for (port, letter) in ports.iter().zip('a'..) {
            let _ = writeln!(backends, "  server {letter} 127.0.0.1:{port}");
        }
    }
    text + backends.as_str()
}
