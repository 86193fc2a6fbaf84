//! `device-grant serve` as an AWS Lambda function: the invocations of a load balancer or of a function URL instead of
//! connections. Between two of them the process is frozen, so nothing is left to timers or to what runs by the side.

mod answer;
mod called;
mod event;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use async_trait::async_trait;
use axum::Router;
use axum::extract::ConnectInfo;
use device_grant_domain::{Clock as _, DeviceGrant, SystemClock, Timestamp};
use device_grant_upstream::OidcPool;
use device_grant_web::{Health, Load};
use lambda_runtime::{LambdaEvent, Runtime};
use serde_json::Value;
use tower::{ServiceExt as _, service_fn};

use self::answer::Answer;
use self::called::Called;
use self::event::Event;
use super::chores::{Chore, POOL_LOOK};
use super::replica::Replica;
use crate::config::{Config, StoreConfig};

/// AWS gives a function ten seconds before its first invocation, at full speed. What is not known by then is asked for later.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);
/// How long a request waits for what is due. What takes longer goes on beside it: while the pool is away polls do not wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// What must be left of an invocation for its answer.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Who hands us events. Nobody but AWS can, so this counts as a proxy of ours.
const HANDED_OVER_BY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Whether this can be served by copies of a function that share neither memory nor files. A trial on one machine can.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    let is_trial = config.settings.public_url.scheme() == "http";
    if matches!(config.store, StoreConfig::Embedded(_)) && !is_trial {
        bail!(
            "store.kind is \"embedded\" on AWS Lambda, where each copy of the function would have a file of its own: set \
             store.kind = \"dynamodb\""
        );
    }
    Ok(())
}

/// Serves invocations until `ended`, or until AWS kills the process, which it does without a word.
pub(super) async fn serve(
    mut replica: Replica,
    ended: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    if replica.network.metrics_listen.is_some() {
        tracing::warn!("metrics.listen: nothing can reach a listener of a function, so there is none");
    }
    let health = Arc::new(Health::default());
    let mut called = chores(&mut replica, &health).await?;
    replica.web.trusted_proxies.push(HANDED_OVER_BY.into());
    let load = Arc::new(Load::new(replica.network.requests_at_once));
    let router = replica.router(&health, &load);
    let service = Arc::clone(&replica.service);
    // From here on whoever waits for the tasks waits until there are none.
    service.tasks.close();
    called.now(FIRST_PATIENCE).await;
    tracing::info!(
        public_url = %service.settings.public_url,
        version = env!("CARGO_PKG_VERSION"),
        "serving the invocations of an AWS Lambda function"
    );
    let mut tasks = called.take_tasks();
    let function = Arc::new(Function { router, service, called, told_of_timeout: AtomicBool::new(false) });
    let handler = service_fn(|event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move { function.answer(event.payload, Timestamp::from_millis(event.context.deadline)).await }
    });
    tokio::select! {
        outcome = Runtime::new(handler).run() => outcome.map_err(|problem| anyhow!(problem)),
        () = ended => {
            tracing::info!("stopped");
            Ok(())
        }
        Some(outcome) = tasks.join_next() => {
            outcome.context("a background task failed")?;
            bail!("a background task ended");
        }
    }
}

/// What is to be done when invocations come.
async fn chores(replica: &mut Replica, health: &Arc<Health>) -> anyhow::Result<Called> {
    let mut called = Called::default();
    for (first, chore) in replica.chores(health).await? {
        called.add(first, chore);
    }
    called.add(Duration::ZERO, Box::new(RefreshPool(Arc::clone(&replica.pool))));
    Ok(called)
}

/// What answers invocations, one after the other.
struct Function {
    router: Router,
    service: Arc<DeviceGrant>,
    called: Called,
    /// Whether the log has a line about too short a timeout.
    told_of_timeout: AtomicBool,
}

impl Function {
    /// The answer to one request, once everything is done that was begun for it, or its time is up at `deadline`.
    async fn answer(&self, event: Value, deadline: Timestamp) -> Result<Answer, lambda_runtime::Error> {
        let wanted = self.service.settings.lease();
        if deadline.since(SystemClock.now()) < wanted && !self.told_of_timeout.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                wanted_s = wanted.as_secs(),
                "the function's timeout is shorter than an exchange may take; what it cuts off the device's next poll takes over"
            );
        }
        self.called.now(PATIENCE).await;
        let event = Event::read(event)?;
        let form = event.form();
        let answer = match event.into_request() {
            Ok(mut request) => {
                request.extensions_mut().insert(ConnectInfo(SocketAddr::new(HANDED_OVER_BY, 0)));
                let answer = self.router.clone().oneshot(request).await?;
                Answer::of(answer, form).await?
            }
            Err(unreadable) => Answer::unreadable(unreadable, form),
        };
        let left = deadline.since(SystemClock.now()).saturating_sub(LAST_WORDS);
        if tokio::time::timeout(left, self.service.tasks.wait()).await.is_err() {
            tracing::warn!("some exchanges did not finish in time; the next poll of their device takes over");
        }
        Ok(answer)
    }
}

/// Keeps what is known of the pool fresh.
struct RefreshPool(Arc<OidcPool>);

#[async_trait]
impl Chore for RefreshPool {
    async fn turn(&mut self) -> Duration {
        // The pool's client tells the log itself what is wrong, and has a pause of its own while that lasts.
        let _ = self.0.refresh_if_due().await;
        POOL_LOOK
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metrics::Metrics;
    use crate::wiring::tests::in_memory;

    fn function() -> Function {
        let (service, _) = in_memory(&Metrics::default());
        service.tasks.close();
        let router = Router::new();
        Function { router, service, called: Called::default(), told_of_timeout: AtomicBool::new(false) }
    }

    fn event() -> Value {
        json!({
            "requestContext": { "elb": {} },
            "httpMethod": "GET",
            "path": "/livez",
            "headers": {},
            "isBase64Encoded": false
        })
    }

    /// What was begun for a request is done before its answer leaves: afterwards the process is frozen.
    #[tokio::test]
    async fn the_answer_waits_for_what_was_begun() {
        let function = function();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        function.service.tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            flag.store(true, Ordering::SeqCst);
        });
        function.answer(event(), SystemClock.now() + Duration::from_hours(1)).await.unwrap();
        assert!(done.load(Ordering::SeqCst));
    }

    /// What takes longer than the invocation has does not cost the answer.
    #[tokio::test]
    async fn the_answer_leaves_before_the_deadline() {
        let function = function();
        function.service.tasks.spawn(std::future::pending::<()>());
        function.answer(event(), SystemClock.now() + Duration::from_millis(600)).await.unwrap();
    }
}
