//! Bytes on a raw socket that no well-behaved client sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Directory, NOBODY, Server, configuration, get};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A server that gives up on slow heads after a second.
fn serve(directory: &Directory) -> Server {
    let patient = configuration(NOBODY);
    directory
        .write("device-grant.toml", &patient.replace("[network]\n", "[network]\nheader_timeout_s = 1\n"));
    Server::start(directory, &["serve"])
}

/// What comes back for these bytes, until the server closes.
fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may have answered and closed before all was sent.
    let _ = stream.write_all(bytes);
    read(&mut stream)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // A reset after the answer is an end as well.
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed without an answer")
}

fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n")
}

/// HI-09: framing that two readers could read in two ways is refused, and the connection ends: what follows is no second
/// request.
#[test]
fn ambiguous_framing_is_refused_and_ends_the_connection() {
    let directory = Directory::new();
    let server = serve(&directory);
    let smuggled = "GET /livez HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let body = "client_id=tv";
    let framings = [
        format!("{FORM}Content-Length: 12\r\nContent-Length: 13\r\n"),
        format!("{FORM}Content-Length: 12, 13\r\n"),
        format!("{FORM}Content-Length: -1\r\n"),
        format!("{FORM}Content-Length: +12\r\n"),
        format!("{FORM}Content-Length: 0x0c\r\n"),
        format!("{FORM}Transfer-Encoding: gzip\r\n"),
        format!("{FORM}Transfer-Encoding: chunked, gzip\r\n"),
        format!("{FORM}Transfer-Encoding : chunked\r\n"),
    ];
    for framing in framings {
        let sent = head("POST", "/token", &framing) + body + smuggled;
        let answer = exchange(&server, sent.as_bytes());
        assert_eq!(status(&answer), "400", "{framing:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answer}");
    }
    // RFC 9112 section 6.3 lets a server take the chunks; then it must close.
    let both = head("POST", "/token", &format!("{FORM}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"));
    let answer = exchange(&server, (both + "c\r\nclient_id=tv\r\n0\r\n\r\n" + smuggled).as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    for chunks in ["xyz\r\n", "-1\r\n\r\n", "fffffffffffffffff\r\na", "1\r\nabc\r\n"] {
        let sent =
            head("POST", "/token", &format!("{FORM}Transfer-Encoding: chunked\r\n")) + chunks + smuggled;
        let answer = exchange(&server, sent.as_bytes());
        assert!(status(&answer) != "200" && answer.matches("HTTP/1.1 ").count() <= 1, "{chunks:?}: {answer}");
    }
    assert_eq!(get(&server.address, "/livez").0, 200);
}

/// HI-10: no host, two hosts, or none that is one.
#[test]
fn exactly_one_host_is_wanted_on_the_wire() {
    let directory = Directory::new();
    let server = serve(&directory);
    for hosts in ["", "Host: a\r\nHost: a\r\n", "Host: a\r\nHost: b\r\n", "Host:\r\n", "Host: a b\r\n"] {
        let sent = format!("GET /livez HTTP/1.1\r\nConnection: close\r\n{hosts}\r\n");
        let answer = exchange(&server, sent.as_bytes());
        assert_eq!(status(&answer), "400", "{hosts:?}: {answer}");
    }
}

/// HI-03: an overlong path, header or cookie is answered 414 or 431, and costs nothing else.
#[test]
fn overlong_heads_are_refused() {
    let directory = Directory::new();
    let server = serve(&directory);
    let long = "x".repeat(100_000);
    let heads = [
        head("GET", &format!("/device?user_code={long}"), ""),
        head("GET", &format!("/{long}"), ""),
        head("GET", "/device", &format!("Cookie: a={long}\r\n")),
        head("GET", "/device", &format!("X-Long: {long}\r\n")),
        head("GET", "/device", &"X-Many: 1\r\n".repeat(5000)),
    ];
    for head in heads {
        let answer = exchange(&server, head.as_bytes());
        assert!(["414", "431"].contains(&status(&answer)), "{}: {answer}", &head[..40]);
    }
}

/// HI-01: bodies without end are cut off: neither is read to its end, nor kept.
#[test]
fn endless_bodies_are_cut_off() {
    let directory = Directory::new();
    let server = serve(&directory);
    let announced = head("POST", "/token", &format!("{FORM}Content-Length: 1000000000\r\n"));
    let endless = head("POST", "/token", &format!("{FORM}Transfer-Encoding: chunked\r\n"));
    for head in [announced, endless] {
        let chunked = head.contains("chunked");
        let mut stream = connect(&server);
        stream.write_all(head.as_bytes()).unwrap();
        let piece = if chunked { format!("1000\r\n{}\r\n", "a".repeat(4096)) } else { "a".repeat(4096) };
        // Sooner or later the server has closed; a hundred megabytes it never takes.
        let taken = (0..25_000).take_while(|_| stream.write_all(piece.as_bytes()).is_ok()).count();
        assert!(taken < 25_000, "the server took everything");
        let answer = read(&mut stream);
        assert!(answer.is_empty() || ["400", "413"].contains(&status(&answer)), "{answer}");
    }
    let many: String = (0..5_000).map(|n| n.to_string() + "=&").collect();
    let sent = head("POST", "/token", &format!("{FORM}Content-Length: {}\r\n", many.len())) + &many;
    assert!(["400", "413"].contains(&status(&exchange(&server, sent.as_bytes()))));
    let memory = resident_kb(&server);
    assert!(memory < 200_000, "{memory} kB");
}

/// HI-02: heads that never end are dropped, and while a thousand of them wait others are served.
#[test]
fn slow_heads_are_dropped_and_block_nobody() {
    let directory = Directory::new();
    let server = serve(&directory);
    let mut slow: Vec<TcpStream> = (0..1000).map(|_| connect(&server)).collect();
    for stream in &mut slow {
        stream.write_all(b"POST /token HTTP/1.1\r\nHos").unwrap();
    }
    assert_eq!(get(&server.address, "/livez").0, 200);
    for stream in &mut slow {
        let answer = read(stream);
        assert!(answer.is_empty() || status(&answer) == "408", "{answer}");
    }
}

/// HI-07: what is compressed is not unpacked.
#[test]
fn compressed_bodies_are_refused_unread() {
    let directory = Directory::new();
    let server = serve(&directory);
    for encoding in ["gzip", "deflate", "br", "identity"] {
        let headers =
            format!("{FORM}Content-Encoding: {encoding}\r\nContent-Length: 12\r\nConnection: close\r\n");
        let answer = exchange(&server, (head("POST", "/token", &headers) + "client_id=tv").as_bytes());
        assert!(["400", "415"].contains(&status(&answer)), "{encoding}: {answer}");
    }
}

fn resident_kb(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
