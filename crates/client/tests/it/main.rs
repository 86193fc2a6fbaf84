//! The device against a server that says what the test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use device_grant_client::{ClientError, Credentials, DeviceClient, Endpoints, Login, Outcome, Progress};
use device_grant_protocol::{ClientSecret, RefreshToken};
use tokio::net::TcpListener;
use url::Url;

struct Server {
    issuer: Url,
    script: Arc<Script>,
    // Also ends with the runtime of its test.
    running: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Response>>,
    seen: Mutex<Vec<Seen>>,
}

struct Seen {
    path: String,
    authorization: Option<String>,
    body: String,
}

async fn answer(State(script): State<Arc<Script>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.to_vec()).unwrap();
    script.seen.lock().unwrap().push(Seen { path: uri.path().to_owned(), authorization, body });
    script.answers.lock().unwrap().pop_front().expect("the script has an answer left")
}

impl Server {
    async fn start() -> Self {
        // The tests of one binary share the process.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let script = Arc::new(Script::default());
        let router = Router::new().fallback(answer).with_state(script.clone());
        let running = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, script, running }
    }

    fn says(&self, status: u16, body: &str) {
        self.says_with(status, body, HeaderMap::new());
    }

    fn says_with(&self, status: u16, body: &str, headers: HeaderMap) {
        let response = (StatusCode::from_u16(status).unwrap(), headers, body.to_owned()).into_response();
        self.script.answers.lock().unwrap().push_back(response);
    }

    fn last_seen(&self) -> Seen {
        self.script.seen.lock().unwrap().pop().unwrap()
    }

    async fn device(&self, secret: Option<&str>) -> DeviceClient {
        let origin = self.issuer.origin().ascii_serialization();
        self.says(
            200,
            &format!(
                r#"{{"issuer":"{origin}","token_endpoint":"{origin}/token",
                "device_authorization_endpoint":"{origin}/device_authorization",
                "revocation_endpoint":"{origin}/revoke",
                "token_endpoint_auth_methods_supported":["private_key_jwt"]}}"#
            ),
        );
        let device = DeviceClient::discover(&self.issuer, credentials(secret)).await.unwrap();
        assert_eq!(self.last_seen().path, "/.well-known/oauth-authorization-server");
        device
    }

    async fn login(&self, device: &DeviceClient) -> Login {
        self.says(
            200,
            r#"{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://a.example/device",
            "expires_in":1800,"interval":5}"#,
        );
        device.start(Some(&"openid profile".parse().unwrap())).await.unwrap()
    }
}

fn credentials(secret: Option<&str>) -> Credentials {
    Credentials { client_id: "tv 1".parse().unwrap(), secret: secret.map(ClientSecret::new) }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_public_device_names_itself_in_the_body() {
    let server = Server::start().await;
    let device = server.device(None).await;
    let login = server.login(&device).await;
    let seen = server.last_seen();
    assert_eq!(seen.path, "/device_authorization");
    assert_eq!(seen.body, "scope=openid+profile&client_id=tv+1");
    assert_eq!(seen.authorization, None);
    assert_eq!(login.codes().user_code.expose(), "WDJB-MJHT");
    assert_eq!(login.wait(), s(5));
}

/// CA-02: both halves are form-encoded before they are joined.
#[tokio::test]
async fn a_confidential_device_sends_form_encoded_basic_credentials() {
    let server = Server::start().await;
    let device = server.device(Some("a:+%")).await;
    server.login(&device).await;
    let seen = server.last_seen();
    assert_eq!(seen.authorization.as_deref(), Some("Basic dHYrMTphJTNBJTJCJTI1"), "tv+1:a%3A%2B%25");
    assert_eq!(seen.body, "scope=openid+profile");
}

#[tokio::test]
async fn polls_go_on_until_the_person_has_decided() {
    let server = Server::start().await;
    let device = server.device(None).await;
    let mut login = server.login(&device).await;
    server.says(400, r#"{"error":"authorization_pending"}"#);
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Pending));
    server.says(400, r#"{"error":"slow_down","interval":12}"#);
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Pending));
    assert_eq!(login.wait(), s(12));
    server.says(200, r#"{"access_token":"a","token_type":"Bearer","expires_in":60}"#);
    let Progress::Done(Outcome::Approved(tokens)) = device.poll(&mut login).await.unwrap() else {
        panic!("the login is approved");
    };
    assert_eq!((tokens.access_token.expose(), tokens.expires_in), ("a", Some(60)));
}

/// TP-18: passing trouble does not end a login.
#[tokio::test]
async fn trouble_of_the_server_does_not_end_a_login() {
    let server = Server::start().await;
    let device = server.device(None).await;
    let mut login = server.login(&device).await;
    let retry_after = HeaderMap::from_iter([(header::RETRY_AFTER, "70".parse().unwrap())]);
    server.says_with(503, r#"{"error":"temporarily_unavailable"}"#, retry_after);
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Away(_)));
    assert_eq!(login.wait(), s(70));
    server.says(502, "<html>");
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Away(_)));
    assert_eq!(login.wait(), s(20));
    server.says(400, r#"{"error":"authorization_pending"}"#);
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Pending));
    assert_eq!(login.wait(), s(5));
}

#[tokio::test]
async fn nobody_there_does_not_end_a_login_either() {
    let server = Server::start().await;
    let device = server.device(None).await;
    let mut login = server.login(&device).await;
    server.running.abort();
    while !server.running.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Away(_)));
    assert_eq!(login.wait(), s(10));
}

#[tokio::test]
async fn the_flows_own_errors_end_it_as_outcomes_and_others_as_refusals() {
    let server = Server::start().await;
    let device = server.device(None).await;
    let mut login = server.login(&device).await;
    server.says(400, r#"{"error":"access_denied"}"#);
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Done(Outcome::Denied)));
    server.says(400, r#"{"error":"expired_token"}"#);
    assert!(matches!(device.poll(&mut login).await.unwrap(), Progress::Done(Outcome::Expired)));
    server.says(400, r#"{"error":"invalid_grant","error_description":"used"}"#);
    let error = device.poll(&mut login).await.unwrap_err();
    assert_eq!(error.to_string(), "the server refuses: invalid_grant: used");
    server.says(404, "<html>");
    assert!(matches!(device.poll(&mut login).await.unwrap_err(), ClientError::Unusable { .. }));
}

#[tokio::test]
async fn a_refresh_tells_a_dead_token_from_a_server_that_is_away() {
    let server = Server::start().await;
    let device = server.device(None).await;
    let token = RefreshToken::new("r");
    server.says(400, r#"{"error":"invalid_grant"}"#);
    assert!(matches!(device.refresh(&token).await.unwrap_err(), ClientError::Refused(_)));
    server.says(503, "");
    assert!(matches!(device.refresh(&token).await.unwrap_err(), ClientError::Away { .. }));
    server.says(200, r#"{"access_token":"b","refresh_token":"r2"}"#);
    assert_eq!(device.refresh(&token).await.unwrap().refresh_token.unwrap().expose(), "r2");
    assert_eq!(server.last_seen().body, "grant_type=refresh_token&refresh_token=r&client_id=tv+1");
}

#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let server = Server::start().await;
    server.says(200, r#"{"issuer":"https://evil.example","token_endpoint":"https://evil.example/token"}"#);
    let error = DeviceClient::discover(&server.issuer, credentials(None)).await.unwrap_err();
    assert!(matches!(error, ClientError::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn plain_http_beyond_the_loopback_is_refused() {
    let issuer = "http://login.example.com".parse().unwrap();
    let error = DeviceClient::discover(&issuer, credentials(Some("secret"))).await.unwrap_err();
    assert!(matches!(error, ClientError::Insecure(_)), "{error}");
}

/// RFC 7009 section 2.1: a login that is given up is said so to the server that began it; one that does not answer is told of.
#[tokio::test]
async fn a_login_can_be_given_up() {
    let server = Server::start().await;
    let device = server.device(None).await;
    let login = server.login(&device).await;
    server.says(200, "");
    assert!(device.cancel(&login).await.unwrap());
    let seen = server.last_seen();
    assert_eq!(
        (seen.path.as_str(), seen.body.as_str()),
        ("/revoke", "token=d&token_type_hint=device_code&client_id=tv+1")
    );
    server.says(503, "");
    assert!(matches!(device.cancel(&login).await, Err(ClientError::Away { .. })));

    let [device_authorization, token] =
        ["device_authorization", "token"].map(|path| server.issuer.join(path).unwrap());
    let endpoints = Endpoints { device_authorization, token, revocation: None };
    let without = DeviceClient::new(endpoints, credentials(None)).unwrap();
    assert!(!without.cancel(&login).await.unwrap(), "there is nobody to tell");
}
