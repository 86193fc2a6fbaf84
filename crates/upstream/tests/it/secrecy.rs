//! What reaches the log, with everything switched on.

use std::io;
use std::sync::{Arc, Mutex};

use device_grant_dev_pool::{Endpoint, Overrides};
use device_grant_domain::pool::UserPool;
use device_grant_protocol::AuthMethod;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Bench, NONCE, SECRET, VERIFIER, unusable};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Writes everything that this thread logs into this log.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// UP-08: the pool refusing our credentials rings an alarm, and its own words ring nowhere.
#[tokio::test]
async fn refused_credentials_ring_an_alarm() {
    let log = Log::default();
    let _listening = log.listen();
    let bench = Bench::start().await;
    bench.ours.refresh_if_due().await.unwrap();
    assert!(!log.text().contains("ERROR"));
    let refusal = json!({ "error": "invalid_client", "error_description": "MARKER" });
    bench.respond_always(Endpoint::Token, 401, &refusal);
    assert!(unusable(bench.exchange("code").await).contains("credentials"));
    assert!(bench.refresh("token").await.is_err());
    let text = log.text();
    assert_eq!(text.matches("ERROR").count(), 2, "{text}");
    assert!(text.contains("the pool refuses our client credentials") && text.contains("\"tv\""), "{text}");
    assert!(!text.contains("MARKER"), "{text}");
}

/// UP-08: no code, token, verifier, nonce or secret is in any log line of a sign-in, a refresh, a revocation, or any of
/// them failing.
#[tokio::test]
async fn nothing_secret_is_logged() {
    let log = Log::default();
    let _listening = log.listen();
    for method in [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost] {
        let mut bench = Bench::start().await;
        bench.client.auth_method = method;
        let code = bench.code().await;
        let tokens = bench.exchange(&code).await.unwrap().response;
        let refresh_token = tokens.refresh_token.unwrap();
        let refreshed = bench.refresh(refresh_token.expose()).await.unwrap();
        bench
            .pool()
            .faults()
            .set(|behaviour| behaviour.id_token_claims = Overrides::from([("aud", json!("x"))]));
        unusable(bench.login().await);
        let dropped = bench.revoked().unwrap();
        bench.respond_always(Endpoint::Token, 401, &json!({ "error": "invalid_client" }));
        unusable(bench.exchange(&code).await);
        bench.ours.revoke(&bench.client, refresh_token.expose(), None).await.unwrap();
        bench.respond_always(Endpoint::Discovery, 500, &json!({}));
        bench.advance(7200);
        bench.ours.refresh_if_due().await.unwrap_err();

        let text = log.text();
        assert!(text.contains("the user pool cannot be refreshed"), "the log is heard");
        let id_tokens = [tokens.id_token, refreshed.id_token].map(|token| token.unwrap().expose().to_owned());
        let encoded_secret: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let secrets = [
            code.as_str(),
            tokens.access_token.expose(),
            refreshed.access_token.expose(),
            refresh_token.expose(),
            &dropped,
            &id_tokens[0],
            &id_tokens[1],
            VERIFIER,
            NONCE,
            SECRET,
            &encoded_secret,
        ];
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is logged");
        }
    }
}
