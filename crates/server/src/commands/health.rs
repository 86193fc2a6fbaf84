//! `device-grant health`: what a container without a shell asks itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use crate::config::{self, Environment};

/// A living server answers in a millisecond; orchestrators give up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn run(file: Option<&Path>, environment: &Environment) -> anyhow::Result<()> {
    // Container engines reserve every exit code but 0 and 1, so a wrong configuration is no 2 here.
    let listen = config::load_listen(file, environment).map_err(|wrong| anyhow!("{wrong}"))?;
    let address = reachable(&listen);
    ensure!(!address.ends_with(":0"), "nobody can know the port of `listen = \"{listen}\"`: name one");
    let url = format!("http://{address}/livez");
    // Neither the machine's certificates nor its proxy have a part in asking oneself.
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let answer = http.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
    ensure!(answer.status() == http::StatusCode::OK, "{url} answers {}", answer.status());
    println!("{address} lives");
    Ok(())
}

/// The address at which this machine reaches a server that listens on `listen`.
fn reachable(listen: &str) -> String {
    let Ok(mut address) = listen.parse::<SocketAddr>() else { return listen.to_owned() };
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_on_the_loopback() {
        for (listen, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("localhost:8080", "localhost:8080"),
        ] {
            assert_eq!(reachable(listen), reached);
        }
    }
}
