//! A pool with a certificate that nobody vouches for.

use std::sync::Arc;

use device_grant_domain::pool::UserPool;
use device_grant_testkit::{FixedClock, SeededEntropy};
use device_grant_upstream::{ConfigError, OidcPool, OidcPoolConfig};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn pool(issuer: &str, allow_http: bool) -> Result<OidcPool, ConfigError> {
    let mut config = OidcPoolConfig::new(issuer);
    config.allow_http = allow_http;
    OidcPool::new(config, Arc::new(FixedClock::default()), Arc::new(SeededEntropy::new(5)))
}

/// UP-04: a certificate of nobody's is refused before a byte of the request leaves, and the words say so. The switch
/// for plain http does not change it.
#[tokio::test]
async fn a_strange_certificate_is_refused() {
    let certified =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("https://{}", listener.local_addr().unwrap());
    for allow_http in [false, true] {
        let ours = pool(&issuer, allow_http).unwrap();
        let problem = tokio::select! {
            () = shake_hands(&acceptor, &listener) => unreachable!("it serves until it is dropped"),
            outcome = ours.refresh_if_due() => outcome.unwrap_err(),
        };
        assert!(problem.0.contains("certificate"), "{problem}");
        assert_eq!(ours.facts(), Err(problem));
    }
}

/// Takes connections, none of which may get through the handshake.
async fn shake_hands(acceptor: &TlsAcceptor, listener: &TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err(), "the handshake went through");
    }
}

/// UP-04: plain http without the switch, or to another machine with it.
#[test]
fn plain_http_is_refused_before_anything_is_sent() {
    assert!(matches!(pool("http://127.0.0.1:1", false), Err(ConfigError::PlainHttp)));
    assert!(matches!(pool("http://pool.example", true), Err(ConfigError::PlainHttp)));
}
