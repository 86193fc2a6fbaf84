//! Clients that a directory elsewhere knows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::http::StatusCode;
use device_grant_domain::client::{ClientAuth, ClientSource, DeviceClient, PoolBinding, SourceError, Taken};
use device_grant_protocol::{ClientId, ClientSecret};
use device_grant_testkit::device_client;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::app::*;
use super::audit::Trail;
use super::browser::Browser;

/// Whom the pool knows; the console has a client of its own there already.
const KNOWN: &str = CONSOLE;
/// Whom the pool does not tell of, whoever asks.
const ODD: &str = "odd";

/// What the pool says of its clients.
struct Source {
    secret: Mutex<String>,
    questions: AtomicUsize,
    away: Mutex<bool>,
    /// An answer takes one.
    answers: Semaphore,
}

impl Source {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            secret: Mutex::new(SECRET.to_owned()),
            questions: AtomicUsize::new(0),
            away: Mutex::new(false),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    fn rotate(&self, secret: &str) {
        secret.clone_into(&mut self.secret.lock().unwrap());
    }
}

struct Door(Arc<Source>);

#[async_trait]
impl ClientSource for Door {
    async fn client(&self, id: &ClientId) -> Result<Option<DeviceClient>, SourceError> {
        self.0.questions.fetch_add(1, Ordering::Relaxed);
        self.0.answers.acquire().await.unwrap().forget();
        if *self.0.away.lock().unwrap() {
            return Err(SourceError::Away("the directory is away".into()));
        }
        if id.as_str() == ODD {
            return Err(SourceError::Unclear("an odd name".into()));
        }
        let secret = ClientSecret::new(self.0.secret.lock().unwrap().as_str());
        let auth = ClientAuth::secret(&secret, false);
        let own = PoolBinding::Own(pool_client(id.as_str(), SECRET));
        Ok(["service", KNOWN].contains(&id.as_str()).then(|| device_client(id.as_str(), auth, own)))
    }
}

/// The television is configured; everybody else is looked up.
async fn app(source: &Arc<Source>) -> TestApp {
    let source = Arc::clone(source);
    TestApp::with(Options {
        clients: Box::new(|clients| clients.retain(|client| client.id.as_str() == TV)),
        directory: Some(Box::new(move || Box::new(Door(Arc::clone(&source))))),
        ..Options::default()
    })
    .await
}

async fn start(app: &TestApp, replica: usize, secret: &str) -> Answer {
    app.send_to(replica, with_basic(post("/device_authorization", &[]), KNOWN, secret)).await
}

/// What a start hears that names `id` and shows no secret.
async fn anonymous(app: &TestApp, id: &str) -> Answer {
    app.post("/device_authorization", &[("client_id", id)]).await
}

/// CA-15: a client that only the pool knows logs in, whichever replica each step reaches; each asks once.
#[tokio::test]
async fn a_client_of_the_pool_needs_no_registration() {
    let source = Source::new();
    let app = app(&source).await;
    let codes = codes(&start(&app, 0, SECRET).await);
    let mut alice = Browser::alice(&app);
    alice.replica = 1;
    alice.approve(&codes).await;
    for replica in [1, 0] {
        let poll = with_basic(post("/token", &poll_form(KNOWN, &codes)), KNOWN, SECRET);
        let answer = app.send_to(replica, poll).await;
        assert_eq!(answer.status == StatusCode::OK, replica == 1, "{answer:?}");
    }
    assert_eq!(source.questions(), 2);
}

/// TP-18, CA-15: while the directory is away nobody is unknown: who was not looked up is told to come back, who was goes on,
/// and nobody is waited for again and again.
#[tokio::test]
async fn a_directory_that_is_away_makes_nobody_unknown() {
    let source = Source::new();
    let app = app(&source).await;
    let started = codes(&start(&app, 0, SECRET).await);
    source.set_away(true);
    app.advance(600);
    assert_eq!(start(&app, 0, SECRET).await.status, StatusCode::OK, "it was looked up before");
    let elsewhere = start(&app, 1, SECRET).await;
    assert_eq!(elsewhere.status, StatusCode::SERVICE_UNAVAILABLE, "{elsewhere:?}");
    let asked = source.questions();
    let poll = || with_basic(post("/token", &poll_form(KNOWN, &started)), KNOWN, SECRET);
    assert_eq!(app.send_to(1, poll()).await.error(), "slow_down");
    assert_eq!(source.questions(), asked, "it was away a moment ago");
    source.set_away(false);
    app.advance(10);
    assert_eq!(app.send_to(1, poll()).await.error(), "authorization_pending");
}

/// Fifty who come at once ask once.
#[tokio::test]
async fn many_at_once_ask_once() {
    let source = Source::new();
    let app = Arc::new(app(&source).await);
    source.answers.forget_permits(Semaphore::MAX_PERMITS);
    let mut starts = JoinSet::new();
    for _ in 0..50 {
        let app = Arc::clone(&app);
        starts.spawn(async move { start(&app, 0, SECRET).await });
    }
    while source.questions() == 0 {
        tokio::task::yield_now().await;
    }
    source.answers.add_permits(50);
    let answers = starts.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(source.questions(), 1);
}

/// CA-09: a secret that was rotated at the pool is good at once, and the old one bad; guesses do not make us ask without end.
#[tokio::test]
async fn a_rotated_secret_is_looked_up_anew() {
    let source = Source::new();
    let app = app(&source).await;
    assert_eq!(start(&app, 0, SECRET).await.status, StatusCode::OK);
    source.rotate("another secret of sixteen");
    app.advance(11);
    assert_eq!(start(&app, 0, "another secret of sixteen").await.status, StatusCode::OK);
    assert_eq!(source.questions(), 2);
    assert_eq!(start(&app, 0, SECRET).await.error(), "invalid_client");
    assert_eq!(source.questions(), 2, "it was asked a moment ago");
}

/// Names that nobody has are asked for once in a while, and not without end; who is known is not held up by them, and our own
/// client at the pool is no device.
#[tokio::test]
async fn made_up_names_are_soon_not_asked_for() {
    let source = Source::new();
    let app = app(&source).await;
    assert_eq!(anonymous(&app, "nobody").await.error(), "invalid_client");
    assert_eq!(anonymous(&app, "nobody").await.error(), "invalid_client");
    assert_eq!(source.questions(), 1);
    for n in 0..200 {
        anonymous(&app, &format!("nobody-{n}")).await;
    }
    assert_eq!(source.questions(), 7, "in one second");
    assert_eq!(anonymous(&app, TV).await.status, StatusCode::OK);
    app.advance(1);
    assert_eq!(start(&app, 0, SECRET).await.status, StatusCode::OK);
    let own = app.send(with_basic(post("/device_authorization", &[]), "service", SECRET)).await;
    assert_eq!(own.error(), "invalid_client");
}

/// TP-18, CA-15, SEC-08: while it is not known who is registered in the store the directory answers for nobody, whoever it
/// knows and whoever it told of before: polls hear `slow_down`, the rest 503. For who is registered it never answers.
#[tokio::test]
async fn the_directory_does_not_stand_in_for_who_is_registered() {
    let source = Source::new();
    let app = app(&source).await;
    let started = codes(&start(&app, 0, SECRET).await);
    let poll = || with_basic(post("/token", &poll_form(KNOWN, &started)), KNOWN, SECRET);
    let clients = &app.services[0].clients;
    clients.replace(clients.all(), Taken { some_unread: true, ..Taken::default() });
    let refused = start(&app, 0, SECRET).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(app.send_to(0, poll()).await.error(), "slow_down");
    assert_eq!(app.post("/device_authorization", &[("client_id", TV)]).await.status, StatusCode::OK);

    clients.replace(clients.all(), Taken { names: [KNOWN.to_owned()].into(), some_unread: false });
    assert_eq!(start(&app, 0, SECRET).await.error(), "invalid_client");
    assert_eq!(source.questions(), 1, "and it is not asked");
}

/// TP-18: once the directory is away, or throttles, it is left alone for a while, whatever names come: whoever was found before
/// goes on, strangers hear that it cannot be decided now, and the log has one line.
#[tokio::test]
async fn a_directory_that_tells_of_nobody_is_left_alone() {
    let source = Source::new();
    let app = app(&source).await;
    let log = Trail::of("device_grant_domain::client::directory");
    let _guard = tracing::subscriber::set_default(log.clone());
    assert_eq!(start(&app, 0, SECRET).await.status, StatusCode::OK);
    app.advance(300);
    source.set_away(true);
    for n in 0..20 {
        let refused = anonymous(&app, &format!("nobody-{n}")).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
        app.advance(u64::from(n % 5 == 0));
    }
    assert_eq!(start(&app, 0, SECRET).await.status, StatusCode::OK, "it was found before");
    assert_eq!(source.questions(), 2);
    assert_eq!(log.take().len(), 1);
    app.advance(1);
    anonymous(&app, "nobody-20").await;
    assert_eq!((source.questions(), log.take().len()), (3, 1), "the rest was over, and is begun anew");
}

/// A rest begins when the answer fails to come, which takes as long as an answer is waited for; two that fail are one rest.
#[tokio::test]
async fn a_rest_begins_with_the_answer() {
    let source = Source::new();
    let app = Arc::new(app(&source).await);
    let log = Trail::of("device_grant_domain::client::directory");
    let _guard = tracing::subscriber::set_default(log.clone());
    source.answers.forget_permits(Semaphore::MAX_PERMITS);
    source.set_away(true);
    let mut asking = JoinSet::new();
    for id in ["nobody", "nobody-else"] {
        let app = Arc::clone(&app);
        asking.spawn(async move { anonymous(&app, id).await.status });
    }
    while source.questions() < 2 {
        tokio::task::yield_now().await;
    }
    app.advance(6);
    source.answers.add_permits(10);
    assert_eq!(asking.join_all().await, [StatusCode::SERVICE_UNAVAILABLE; 2]);
    for id in ["nobody", "nobody-there"] {
        anonymous(&app, id).await;
    }
    assert_eq!((source.questions(), log.take().len()), (2, 1));
}

/// A name that the directory cannot tell of closes it for nobody else, and is not asked for again at once.
#[tokio::test]
async fn an_odd_name_is_no_reason_for_a_rest() {
    let source = Source::new();
    let app = app(&source).await;
    for _ in 0..2 {
        assert_eq!(anonymous(&app, ODD).await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(source.questions(), 1);
    assert_eq!(start(&app, 0, SECRET).await.status, StatusCode::OK);
    app.advance(5);
    anonymous(&app, ODD).await;
    assert_eq!(source.questions(), 3);
}

/// Strangers do not keep those who are known from being looked at again.
#[tokio::test]
async fn strangers_leave_questions_for_those_who_are_known() {
    let source = Source::new();
    let app = app(&source).await;
    assert_eq!(start(&app, 0, SECRET).await.status, StatusCode::OK);
    source.rotate("another secret of sixteen");
    app.advance(300);
    for n in 0..50 {
        anonymous(&app, &format!("nobody-{n}")).await;
    }
    assert_eq!(source.questions(), 8, "one, and what strangers may ask in a second");
    assert_eq!(start(&app, 0, "another secret of sixteen").await.status, StatusCode::OK);
    assert_eq!(source.questions(), 9);
}
