use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use device_grant_protocol::ErrorCode;
use device_grant_web::{Health, Load};
use tower::ServiceExt as _;

use super::*;
use crate::listen::Connections;
use crate::wiring::tests::in_memory;

fn state(metrics: &Metrics) -> ReplicaState {
    let (service, _) = in_memory(metrics);
    let (load, connections) = (Arc::new(Load::new(7)), Connections::new(9));
    ReplicaState { service, health: Arc::new(Health::default()), load, connections }
}

/// What a scrape shows after something of everything has happened.
async fn scraped() -> String {
    let metrics = Metrics::default();
    let state = state(&metrics);
    let refused = || async {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response.extensions_mut().insert(ErrorCode::SlowDown);
        response
    };
    let router = Router::new().route("/token", post(refused)).route("/device/{any}", get(|| async {}));
    let router = metrics.watch(router);
    let requests = [
        Request::post("/token").body(Body::empty()),
        Request::get("/device/secret").body(Body::empty()),
        Request::builder().method("SECRET").uri("/secret").body(Body::empty()),
    ];
    for request in requests {
        router.clone().oneshot(request.unwrap()).await.unwrap();
    }
    metrics.happened("issue", "issued", Some(&"tv".parse().unwrap()));
    state.service.store.check().await.unwrap();
    let pool_client = &state.service.settings.service_client;
    state.service.pool.revoke(pool_client, "secret", None).await.unwrap_err();
    let answer = metrics.router(state).oneshot(Request::get("/metrics").body(Body::empty()).unwrap());
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
    String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn what_happens_is_counted_in_words_of_ours() {
    let text = scraped().await;
    for line in [
        r#"device_grant_answers_total{route="/token",method="POST",status="400",error="slow_down"} 1"#,
        r#"device_grant_answers_total{route="/device/{any}",method="GET",status="200",error=""} 1"#,
        r#"device_grant_answers_total{route="other",method="other",status="404",error=""} 1"#,
        r#"device_grant_events_total{event="issue",outcome="issued",client="tv"} 1"#,
        r#"device_grant_store_calls_total{call="check",outcome="done"} 1"#,
        r#"device_grant_pool_calls_total{call="revoke",outcome="failed"} 1"#,
        "device_grant_store_calls_at_once 0",
        "device_grant_requests_at_once_limit 7",
        "device_grant_connections_limit 9",
        r#"device_grant_requests_refused_total{lane="pool"} 0"#,
        "# EOF",
    ] {
        assert!(text.lines().any(|said| said == line), "no {line} in\n{text}");
    }
    assert!(!text.to_lowercase().contains("secret"), "{text}");
}

/// Each metric: what it is, its kind, and its labels.
fn table(text: &str) -> String {
    let mut kinds: BTreeMap<&str, (&str, &str, Vec<&str>)> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            kinds.entry(name).or_default().0 = help;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            kinds.entry(name).or_default().1 = kind;
        } else if let Some((name, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let family = kinds.iter_mut().rfind(|(family, _)| name.starts_with(**family));
            let names = labels.split("=\"").filter_map(|part| part.rsplit([',', ' ', '"']).next());
            let names = names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase()) && *name != "le");
            family.unwrap().1.2 = names.filter(|name| !name.is_empty()).collect();
        }
    }
    let mut page = "| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, (help, kind, labels)) in kinds {
        let suffix = if kind == "counter" { "_total" } else { "" };
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(page, "| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    page
}

#[tokio::test]
async fn the_page_of_metrics_is_fresh() {
    let page = include_str!("../../../../docs/metrics.md");
    let table = table(&scraped().await);
    assert!(page.contains(&table), "docs/metrics.md must have this table:\n{table}");
}

/// What operators copy from the book is a metric that there is.
#[test]
fn the_metrics_that_operators_are_told_to_watch_are_there() {
    let reference = include_str!("../../../../docs/metrics.md");
    let pages = [
        include_str!("../../../../docs/operations/monitoring.md"),
        include_str!("../../../../docs/operations/incidents.md"),
    ];
    let mut named = 0;
    for word in pages.iter().flat_map(|page| page.split(|c: char| c != '_' && !c.is_ascii_lowercase())) {
        let Some(rest) = word.strip_prefix("device_grant_") else { continue };
        named += 1;
        let family = rest.trim_end_matches("_bucket");
        assert!(reference.contains(&format!("| `device_grant_{family}` |")), "there is no {word}");
    }
    assert!(named > 10, "{named}");
}
