//! Keys that a client publishes at its `jwks_uri`.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

/// Where a client publishes its keys.
struct Publisher {
    address: SocketAddr,
    fetches: Arc<AtomicUsize>,
    keys: Arc<std::sync::Mutex<Option<Vec<Value>>>>,
}

impl Publisher {
    async fn of(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fetches, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Some(keys))));
        let (counted, published) = (Arc::clone(&fetches), Arc::clone(&keys));
        let jwks = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let keys = published.lock().unwrap().clone();
            async move {
                keys.map(|keys| axum::Json(json!({ "keys": keys }))).ok_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        let moved = get(|| async { axum::response::Redirect::temporary("/jwks") });
        let router = Router::new().route("/jwks", get(jwks)).route("/moved", moved);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, fetches, keys }
    }

    fn uri(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    fn publish(&self, keys: Option<Vec<Value>>) {
        *self.keys.lock().unwrap() = keys;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn app(&self) -> TestApp {
        app_with(KeySource::At(self.uri().parse().unwrap()), Audience::Issuer).await
    }
}

/// CA-15: where the registered place points to is not followed.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let signer = Signer::es256();
    let publisher = Publisher::of(vec![signer.named(KID)]).await;
    let moved = publisher.uri().replace("/jwks", "/moved");
    let app = app_with(KeySource::At(moved.parse().unwrap()), Audience::Issuer).await;
    let answer = start(&app, &fresh(&app, &signer)).await;
    assert_eq!((answer.status, publisher.fetches()), (StatusCode::SERVICE_UNAVAILABLE, 0));
}

fn named(app: &TestApp, signer: &Signer, kid: &str) -> String {
    signer.sign(&with(honest_header(signer), &json!({ "kid": kid })), &honest_claims(app))
}

/// CA-15: keys come from the registered place, are kept, and rotate with both valid; what a header names is not fetched.
#[tokio::test]
async fn published_keys_rotate() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let publisher = Publisher::of(vec![old.named("old")]).await;
    let elsewhere = Publisher::of(vec![new.named("new")]).await;
    let app = publisher.app().await;
    assert_eq!(publisher.fetches(), 0, "nothing is fetched before it is needed");
    for _ in 0..5 {
        assert_eq!(start(&app, &named(&app, &old, "old")).await.status, StatusCode::OK);
    }
    assert_eq!(publisher.fetches(), 1);
    let pointing = json!({ "kid": "new", "jku": elsewhere.uri(), "x5u": elsewhere.uri() });
    let pointed = new.sign(&with(honest_header(&new), &pointing), &honest_claims(&app));
    assert_invalid_client(&start(&app, &pointed).await, "a key from elsewhere");
    assert_eq!(elsewhere.fetches(), 0, "what a header points to is not fetched");

    publisher.publish(Some(vec![old.named("old"), new.named("new")]));
    app.advance(11);
    assert_eq!(start(&app, &named(&app, &new, "new")).await.status, StatusCode::OK);
    assert_eq!(start(&app, &named(&app, &old, "old")).await.status, StatusCode::OK, "both are valid");
    publisher.publish(Some(vec![new.named("new")]));
    app.advance(15 * 60);
    assert_invalid_client(&start(&app, &named(&app, &old, "old")).await, "a key that was withdrawn");
    assert_eq!(start(&app, &named(&app, &new, "new")).await.status, StatusCode::OK);
}

/// CA-15: forged kids cause one look, and then none until the cool-down is over.
#[tokio::test]
async fn an_unknown_kid_is_no_storm() {
    let signer = Signer::es256();
    let publisher = Publisher::of(vec![signer.named(KID)]).await;
    let app = publisher.app().await;
    assert_eq!(start(&app, &fresh(&app, &signer)).await.status, StatusCode::OK);
    app.advance(11);
    for n in 0..50 {
        assert_invalid_client(&start(&app, &named(&app, &signer, &format!("forged-{n}"))).await, "forged");
    }
    assert_eq!(publisher.fetches(), 2);
    app.advance(11);
    assert_invalid_client(&start(&app, &named(&app, &signer, "forged again")).await, "forged");
    assert_eq!(publisher.fetches(), 3);
    assert_eq!(start(&app, &fresh(&app, &signer)).await.status, StatusCode::OK);
}

/// CA-15, TP-18: while the keys cannot be fetched the last good ones serve; before there were any nobody is called
/// unknown.
#[tokio::test]
async fn a_publisher_that_is_away_makes_no_client_unknown() {
    let signer = Signer::es256();
    let publisher = Publisher::of(vec![signer.named(KID)]).await;
    let app = publisher.app().await;
    publisher.publish(None);
    let answer = start(&app, &fresh(&app, &signer)).await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
    );
    let unknown = Codes { device_code: "any".to_owned(), user_code: String::new() };
    assert_eq!(poll(&app, &unknown, &fresh(&app, &signer)).await.error(), "slow_down");
    publisher.publish(Some(vec![signer.named(KID)]));
    app.advance(11);
    assert_eq!(start(&app, &fresh(&app, &signer)).await.status, StatusCode::OK);
    publisher.publish(None);
    app.advance(3600);
    assert_eq!(start(&app, &fresh(&app, &signer)).await.status, StatusCode::OK, "the last good ones serve");
}
