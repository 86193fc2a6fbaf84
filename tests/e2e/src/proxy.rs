//! A proxy through which the servers reach the names under `.test`, which no resolver knows.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Context as _;

/// Starts a proxy that takes `CONNECT name.test:port` to that port of loopback and refuses everything else. It runs
/// until the test process ends.
pub fn start() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("the proxy finds no port")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                // A client that goes away in the middle is its own business.
                let _ = serve(stream);
            });
        }
    });
    Ok(address)
}

fn serve(mut client: TcpStream) -> io::Result<()> {
    let mut head = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    let Some(port) = allowed_port(&request) else {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    };
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (client_side, server_side) = (client.try_clone()?, server.try_clone()?);
    let back = thread::spawn(move || pipe(server_side, client_side));
    pipe(client, server)?;
    back.join().unwrap_or(Ok(()))
}

fn pipe(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let result = io::copy(&mut from, &mut to).map(drop);
    // Either side may have closed already.
    let _ = to.shutdown(Shutdown::Write);
    result
}

/// The port of `CONNECT name.test:port HTTP/1.1`.
fn allowed_port(request: &str) -> Option<u16> {
    let (name, port) = request.strip_prefix("CONNECT ")?.split(' ').next()?.rsplit_once(':')?;
    name.strip_suffix(".test").and(port.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_under_test_are_reached() {
        assert_eq!(allowed_port("CONNECT pool.user-pool.test:8443 HTTP/1.1\r\n"), Some(8443));
        for other in [
            "CONNECT example.com:443 HTTP/1.1\r\n",
            "GET http://a.test:80/ HTTP/1.1\r\n",
            "CONNECT a.test HTTP/1.1\r\n",
            "",
        ] {
            assert_eq!(allowed_port(other), None, "{other}");
        }
    }
}
