//! `deploy/balancers/`: the shipped files, in front of something that shows what arrives, and of the real program.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use deploy_tests::{binary, moved, program, read, scratch};
use device_grant_testkit::parts::{Process, free_port};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Client, StatusCode};

const NAME: &str = "login.example.com";
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client says of itself that only a balancer may say.
const FORGED: [(&str, &str); 7] = [
    ("X-Forwarded-For", "203.0.113.6"),
    ("X-Forwarded-For", "203.0.113.7, 203.0.113.8"),
    ("X-Forwarded-Proto", "http"),
    ("Forwarded", "for=203.0.113.6;proto=http"),
    ("X-Amzn-Oidc-Data", "forged"),
    ("X-Amzn-Oidc-Identity", "forged"),
    ("X-Amzn-Oidc-Accesstoken", "forged"),
];

/// A balancer that runs, and a client that knows its way to it.
struct Edge {
    tls: u16,
    plain: u16,
    http: Client,
    _process: Process,
}

impl Edge {
    fn haproxy(replicas: [u16; 2]) -> Self {
        Self::haproxy_with(replicas, &[])
    }

    fn haproxy_with(replicas: [u16; 2], others: &[(&str, &str)]) -> Self {
        let [tls, plain] = [free_port(), free_port()];
        let (directory, certificate) = certificate(&format!("haproxy-{tls}"));
        let file = directory.join("haproxy.cfg");
        let places = [
            ("bind :443 ", format!("bind 127.0.0.1:{tls} ")),
            ("bind :80\n", format!("bind 127.0.0.1:{plain}\n")),
            ("/etc/haproxy/device-grant.pem", directory.join("both.pem").display().to_string()),
        ];
        fs::write(&file, moved(&shipped("haproxy.cfg", &places, replicas), others).unwrap()).unwrap();
        let mut haproxy = program("haproxy");
        haproxy.arg("-db").arg("-f").arg(&file);
        Self::start("haproxy", &haproxy, [tls, plain], certificate)
    }

    fn nginx(replicas: [u16; 2]) -> Self {
        Self::nginx_with(replicas, &[])
    }

    fn nginx_with(replicas: [u16; 2], others: &[(&str, &str)]) -> Self {
        let [tls, plain] = [free_port(), free_port()];
        let (directory, certificate) = certificate(&format!("nginx-{tls}"));
        let file = directory.join("nginx.conf");
        let path = |name: &str| directory.join(name).display().to_string();
        let places = [
            ("listen 443 ", format!("listen 127.0.0.1:{tls} ")),
            ("listen 80;", format!("listen 127.0.0.1:{plain};")),
            ("/run/nginx.pid", path("nginx.pid")),
            ("/var/log/nginx/device-grant.log", path("access.log")),
            ("/etc/nginx/device-grant.pem", path("certificate.pem")),
            ("/etc/nginx/device-grant.key", path("key.pem")),
        ];
        fs::write(&file, moved(&shipped("nginx.conf", &places, replicas), others).unwrap()).unwrap();
        let mut nginx = program("nginx");
        nginx.args(["-g", "daemon off;", "-c"]).arg(&file).arg("-p").arg(&directory);
        Self::start("nginx", &nginx, [tls, plain], certificate)
    }

    fn start(
        name: &str,
        command: &Command,
        [tls, plain]: [u16; 2],
        certificate: reqwest::Certificate,
    ) -> Self {
        let mut process = Process::start(name, command);
        process.wait(PATIENCE, || TcpStream::connect(("127.0.0.1", tls)).is_ok()).unwrap();
        let http = Client::builder()
            .tls_certs_only([certificate])
            .resolve(NAME, SocketAddr::from(([127, 0, 0, 1], 0)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { tls, plain, http, _process: process }
    }

    fn secure(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.tls)
    }

    fn clear(&self, path: &str) -> String {
        format!("http://{NAME}:{}{path}", self.plain)
    }

    /// Waits until the balancer has found a replica.
    async fn wait(&self, path: &str) {
        for _ in 0..200 {
            let answer = self.http.get(self.secure(path)).send().await.unwrap();
            if answer.status() == StatusCode::OK {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no replica is found");
    }
}

/// A shipped file, for this machine.
fn shipped(file: &str, places: &[(&str, String)], replicas: [u16; 2]) -> String {
    let [a, b] = replicas.map(|port| format!("127.0.0.1:{port}"));
    let mut places: Vec<_> = places.iter().map(|(shipped, here)| (*shipped, here.as_str())).collect();
    places.extend([("10.0.0.11:8080", a.as_str()), ("10.0.0.12:8080", b.as_str())]);
    moved(&read(&format!("deploy/balancers/{file}")).unwrap(), &places).unwrap()
}

/// A directory with a certificate for [`NAME`] in the forms that balancers want, and the certificate.
fn certificate(name: &str) -> (PathBuf, reqwest::Certificate) {
    let directory = scratch(name).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("key.pem", &key.serialize_pem());
    write("certificate.pem", &certificate);
    write("both.pem", &format!("{certificate}{}", key.serialize_pem()));
    (directory, reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap())
}

/// A server that answers every request with the head that has arrived, in lower case. It ends with the test.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A balancer that only looks whether somebody is there sends nothing.
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: String =
                lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase() + "\n").collect();
            let length = head.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{head}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// Nobody may choose the address that limits count, nor pass for somebody whom a balancer has signed in.
async fn what_a_client_says_of_itself_does_not_arrive(edge: &Edge) {
    edge.wait("/echo").await;
    let mut request = edge.http.get(edge.secure("/echo"));
    for (name, value) in FORGED {
        request = request.header(name, value);
    }
    let head = request.send().await.unwrap().text().await.unwrap();
    let arrived =
        |name: &str| head.lines().filter(|line| line.starts_with(&format!("{name}:"))).collect::<Vec<_>>();
    assert_eq!(arrived("x-forwarded-for"), ["x-forwarded-for: 127.0.0.1"], "{head}");
    assert_eq!(arrived("x-forwarded-proto"), ["x-forwarded-proto: https"], "{head}");
    assert!(!head.contains("203.0.113") && !head.contains("forged"), "{head}");
}

/// How a replica is, is for the balancer alone.
async fn health_is_not_shown(edge: &Edge) {
    for path in ["/livez", "/readyz"] {
        assert_eq!(edge.http.get(edge.secure(path)).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
}

/// SEC-13: people are sent to https; a device that has sent a secret in the clear is not helped to go on.
async fn the_clear_port_serves_nothing(edge: &Edge) {
    let page = edge.http.get(edge.clear("/device?user_code=X")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::PERMANENT_REDIRECT);
    let location = page.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with(&format!("https://{NAME}")) && location.ends_with("/device?user_code=X"),
        "{location}"
    );
    let start = edge.http.post(edge.clear("/token")).body("client_secret=x").send().await.unwrap();
    assert_eq!(start.status(), StatusCode::FORBIDDEN);
}

/// Devices of an address that sends too much are made to wait by the word that they know, browsers by theirs; the one does not use
/// up what is the other's.
async fn a_flood_is_held_back(edge: &Edge) {
    edge.wait("/echo").await;
    let device = async || {
        let answer = edge.http.post(edge.secure("/token")).body("x=y").send().await.unwrap();
        (answer.status(), answer.headers().get("retry-after").cloned(), answer.text().await.unwrap())
    };
    let mut heard = Vec::new();
    for _ in 0..12 {
        heard.push(device().await);
    }
    assert_eq!(heard[0].0, StatusCode::OK, "{heard:?}");
    let (status, retry_after, body) = heard.pop().unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    assert!(retry_after.is_some_and(|seconds| seconds == "30"));
    let error: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(error["error"], "slow_down");

    let page = async || edge.http.get(edge.secure("/device")).send().await.unwrap().status();
    assert_eq!(page().await, StatusCode::OK);
    let mut last = StatusCode::OK;
    for _ in 0..300 {
        last = page().await;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn haproxy_holds_a_flood_back() {
    let limits = [
        ("sc_http_req_rate(0) gt 1000", "sc_http_req_rate(0) gt 5"),
        ("(10s)", "(1h)"),
        ("expire 10s", "expire 1h"),
    ];
    a_flood_is_held_back(&Edge::haproxy_with([echo(), echo()], &limits)).await;
}

#[tokio::test]
async fn nginx_holds_a_flood_back() {
    let limits = [("rate=100r/s", "rate=1r/m"), ("rate=10r/s", "rate=1r/m"), ("burst=500", "burst=5")];
    a_flood_is_held_back(&Edge::nginx_with([echo(), echo()], &limits)).await;
}

#[tokio::test]
async fn haproxy_overwrites_what_clients_forge() {
    let edge = Edge::haproxy([echo(), echo()]);
    what_a_client_says_of_itself_does_not_arrive(&edge).await;
    health_is_not_shown(&edge).await;
    the_clear_port_serves_nothing(&edge).await;
}

#[tokio::test]
async fn nginx_overwrites_what_clients_forge() {
    let edge = Edge::nginx([echo(), echo()]);
    what_a_client_says_of_itself_does_not_arrive(&edge).await;
    health_is_not_shown(&edge).await;
    the_clear_port_serves_nothing(&edge).await;
}

/// A replica of its own, whose proxy is on this machine.
fn replica(directory: &Path, port: u16) -> Process {
    let file = directory.join(format!("{port}.toml"));
    let text = format!(
        "public_url = \"https://{NAME}\"\nlisten = \"127.0.0.1:{port}\"\n[store]\npath = \"{port}.db\"\n\
         [upstream]\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"device-grant\"\n\
         [[client]]\nid = \"tv\"\nauth_method = \"none\"\n"
    );
    fs::write(&file, text).unwrap();
    let mut serve = Command::new(binary().unwrap());
    serve.arg("serve").arg("--config").arg(&file).current_dir(directory);
    let mut process = Process::start(&format!("behind-{port}"), &serve);
    process.wait_for_http(port, "/readyz", PATIENCE).unwrap();
    process
}

/// The service takes what comes through the balancer as TLS, and what comes past it not; and it goes on when a replica dies.
async fn starts_go_through(directory: &str, edge: fn([u16; 2]) -> Edge) {
    let directory = scratch(directory).unwrap();
    let ports = [free_port(), free_port()];
    let [first, _second] = ports.map(|port| replica(&directory, port));
    let edge = edge(ports);
    edge.wait("/.well-known/oauth-authorization-server").await;
    let start = async |url: &str| {
        let answer =
            edge.http.post(url).form(&[("client_id", "tv"), ("scope", "openid")]).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    for _ in 0..4 {
        let (status, body) = start(&edge.secure("/device_authorization")).await;
        assert!(status == StatusCode::OK && body.contains("user_code"), "{status} {body}");
    }
    let past = format!("http://127.0.0.1:{}/device_authorization", ports[0]);
    assert_ne!(start(&past).await.0, StatusCode::OK, "what comes past the balancer is in the clear");
    assert!(first.stop().success());
    for _ in 0..4 {
        let (status, body) = start(&edge.secure("/device_authorization")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}

#[tokio::test]
async fn devices_reach_the_service_through_haproxy() {
    starts_go_through("haproxy-replicas", Edge::haproxy).await;
}

#[tokio::test]
async fn devices_reach_the_service_through_nginx() {
    starts_go_through("nginx-replicas", Edge::nginx).await;
}
