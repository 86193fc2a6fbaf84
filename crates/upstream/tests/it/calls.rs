//! How the pool is called: once, in time, in moderation, and nowhere else.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use device_grant_dev_pool::{CannedResponse, Endpoint, Fault, Hold, Overrides};
use device_grant_domain::pool::{ExchangeError, UserPool};
use device_grant_testkit::{FixedClock, SeededEntropy};
use device_grant_upstream::{OidcPool, OidcPoolConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Bench, exchange, start_of_time, unreachable, unusable};

/// UP-06: a refused connection is tried again, for nothing was sent.
#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let bench = Bench::start().await;
    let code = bench.code().await;
    bench.served.refuse_connections().await;
    bench.entropy.forget();
    let reopen = async {
        // The jitter of the back-off is drawn when a first attempt has failed.
        bench.entropy.drawn().await;
        bench.served.accept_connections().await.unwrap();
    };
    let mut attempt = pin!(bench.exchange(&code));
    tokio::select! {
        outcome = &mut attempt => panic!("it was not tried again: {outcome:?}"),
        () = reopen => {}
    }
    attempt.await.unwrap();
    assert_eq!(bench.count(Endpoint::Token), 1);
}

/// UP-06: a request that may have been read is not sent again, whether or not it was worked on.
#[tokio::test]
async fn a_request_that_may_have_been_read_is_not_sent_again() {
    for fault in [Fault::Drop, Fault::DropAnswer] {
        let bench = Bench::start().await;
        let code = bench.code().await;
        bench.pool().faults().once(Endpoint::Token, fault);
        unreachable(bench.exchange(&code).await);
        assert_eq!(bench.count(Endpoint::Token), 1);
    }
}

/// UP-05: a pool that is not there at all is unreachable, and the code may still be good.
#[tokio::test]
async fn a_pool_that_refuses_connections_is_unreachable() {
    let bench = Bench::start().await;
    let code = bench.code().await;
    bench.served.refuse_connections().await;
    assert!(unreachable(bench.exchange(&code).await).contains("no connection"));
    bench.served.accept_connections().await.unwrap();
    assert!(bench.exchange(&code).await.is_ok());
}

/// UP-05: a pool that takes a request and never answers costs the time limit, and keeps nobody else waiting.
#[tokio::test]
async fn a_hung_call_ends_in_time_and_slows_nobody() {
    let bench = Bench::with(|_| {}, |ours| ours.total_timeout = Duration::from_millis(300)).await;
    let code = bench.code().await;
    let hold = bench.pool().faults().hold_next(Endpoint::Token);
    let others = async {
        hold.arrived().await;
        assert!(bench.ours.facts().is_ok());
        bench.authorize_url().await;
        bench.ours.revoke(&bench.client, "garbage", None).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(bench.exchange(&code), others);
    assert_eq!(unreachable(outcome), "no answer in time");
    assert_eq!(bench.count(Endpoint::Token), 1);
}

/// UP-05: no more calls at one moment than the cap; the others wait for their turn.
#[tokio::test]
async fn parallel_calls_are_capped() {
    let bench = Bench::with(|_| {}, |ours| ours.max_parallel_calls = 2).await;
    let codes = [bench.code().await, bench.code().await, bench.code().await];
    let hold = Hold::new();
    bench.pool().faults().always(Endpoint::Token, Fault::Hold(hold.clone()));
    let watch = async {
        hold.arrived().await;
        hold.arrived().await;
        // Two whole round trips to the pool: a third call would have come by now.
        let other = fresh(bench.served.issuer());
        other.refresh_if_due().await.unwrap();
        assert_eq!(bench.count(Endpoint::Token), 2);
        hold.release();
    };
    let exchanges = async {
        tokio::join!(bench.exchange(&codes[0]), bench.exchange(&codes[1]), bench.exchange(&codes[2]))
    };
    let ((a, b, c), ()) = tokio::join!(exchanges, watch);
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
}

fn fresh(issuer: &str) -> OidcPool {
    let mut config = OidcPoolConfig::new(issuer);
    config.allow_http = true;
    let clock = Arc::new(FixedClock::at(start_of_time()));
    OidcPool::new(config, clock, Arc::new(SeededEntropy::new(3))).unwrap()
}

/// UP-05: after a 429 or 503 the endpoint is left alone as long as it asks; other endpoints are not.
#[tokio::test]
async fn a_throttling_pool_is_left_alone() {
    for (status, header, seconds) in [
        (429, Some("30"), 30),
        (503, Some("30"), 30),
        // The fixed clock starts at 2026-01-01T00:00:00Z.
        (429, Some("Thu, 01 Jan 2026 00:00:30 GMT"), 30),
        (429, None, 1),
        (503, Some("soon"), 1),
    ] {
        let bench = Bench::start().await;
        let code = bench.code().await;
        let canned = CannedResponse::json(status.try_into().unwrap(), &json!({}));
        let canned = header.into_iter().fold(canned, |canned, value| canned.header("retry-after", value));
        bench.pool().faults().once(Endpoint::Token, Fault::Respond(canned));
        unreachable(bench.exchange(&code).await);
        for _ in 0..20 {
            assert!(unreachable(bench.exchange(&code).await).contains("left alone"));
        }
        assert_eq!(bench.count(Endpoint::Token), 1, "{status} {header:?}");
        bench.ours.revoke(&bench.client, "garbage", None).await.unwrap();
        bench.advance(seconds - 1);
        if seconds > 1 {
            unreachable(bench.exchange(&code).await);
        }
        assert_eq!(bench.count(Endpoint::Token), 1);
        bench.advance(1);
        assert!(bench.exchange(&code).await.is_ok(), "{status} {header:?}");
    }
}

/// UP-04: a redirect of the token endpoint, the discovery or the keys leads nowhere.
#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Bench::start().await;
    let bench = Bench::start().await;
    let code = bench.code().await;
    for status in [301, 302, 307, 308] {
        let target = format!("{}/token", elsewhere.served.issuer());
        let canned = CannedResponse::json(status.try_into().unwrap(), &json!({})).header("location", &target);
        bench.pool().faults().once(Endpoint::Token, Fault::Respond(canned));
        assert!(unusable(bench.exchange(&code).await).contains("redirect"));
    }
    let cold = Bench::start().await;
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
        let target = format!("{}{}", elsewhere.served.issuer(), endpoint.path());
        let canned =
            CannedResponse::json(302_u16.try_into().unwrap(), &json!({})).header("location", &target);
        cold.pool().faults().once(endpoint, Fault::Respond(canned));
        let problem = cold.ours.refresh_if_due().await.unwrap_err();
        assert!(problem.0.contains("302"), "{problem}");
        cold.advance(3600);
    }
    assert_eq!(elsewhere.pool().requests().all().len(), 0);
}

/// UP-07: HTML with 200, missing members, unknown token types, repeated members and endless bodies are clean failures,
/// and a refresh token that came along is revoked.
#[tokio::test]
async fn nonsense_with_200_is_a_clean_failure() {
    let bench = Bench::start().await;
    bench.ours.refresh_if_due().await.unwrap();
    let html = |kind| CannedResponse::new(200_u16.try_into().unwrap(), kind, "<html>MARKER");
    let doubled = r#"{"access_token":"a","access_token":"b","id_token":"MARKER"}"#;
    for canned in [
        html("text/html"),
        html("application/json"),
        CannedResponse::new(200_u16.try_into().unwrap(), "application/json", doubled),
        CannedResponse::oversized(3_000_000),
        CannedResponse::json(200_u16.try_into().unwrap(), &json!({})),
        CannedResponse::json(200_u16.try_into().unwrap(), &json!([])),
        CannedResponse::json(204_u16.try_into().unwrap(), &json!({})),
    ] {
        bench.pool().faults().once(Endpoint::Token, Fault::Respond(canned));
        let words = unusable(bench.exchange("code").await);
        assert!(!words.contains("MARKER"), "{words}");
    }
    for (member, value) in
        [("access_token", Value::Null), ("token_type", json!("mac")), ("token_type", json!("DPoP"))]
    {
        bench.pool().requests().clear();
        bench.pool().faults().set(|behaviour| behaviour.token_response = Overrides::from([(member, value)]));
        unusable(bench.login().await);
        assert!(bench.revoked().is_some(), "{member}");
    }
}

/// UP-07: unknown members are ignored, the case of `token_type` does not matter, and Bearer is what a pool means that
/// says nothing.
#[tokio::test]
async fn harmless_differences_do_no_harm() {
    let bench = Bench::start().await;
    for (sent, kept) in [(json!("bearer"), "bearer"), (json!("BEARER"), "BEARER"), (Value::Null, "Bearer")] {
        bench.pool().faults().set(|behaviour| {
            behaviour.token_response =
                Overrides::from([("token_type", sent), ("new_member", json!({ "a": [1] }))]);
        });
        assert_eq!(bench.login().await.unwrap().response.token_type, kept);
    }
}

/// UP-07: a body without a length is read up to the limit and no further.
#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = fresh(&format!("http://{}", listener.local_addr().unwrap()));
    let endless = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 2048];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", "[".repeat(0x10000));
        let mut sent = 0;
        while stream.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 1;
        }
        sent
    };
    let (outcome, sent) = tokio::join!(ours.refresh_if_due(), endless);
    assert!(outcome.unwrap_err().0.contains("more than 1048576 bytes"));
    // The limit, and what fits into the buffers of two sockets.
    assert!(sent < 1000, "{sent} chunks of 64 KiB were taken");
}

/// A pool that is away from the start costs no code: nothing is sent that could not be checked.
#[tokio::test]
async fn no_code_is_spent_without_keys() {
    let bench = Bench::start().await;
    let code = bench.code().await;
    let cold = fresh(bench.served.issuer());
    bench.respond_always(Endpoint::Jwks, 500, &json!({}));
    let outcome = exchange(&cold, &bench.client, &code).await;
    assert!(
        matches!(&outcome, Err(ExchangeError::Unreachable(words)) if words.contains("keys")),
        "{outcome:?}"
    );
    assert_eq!(bench.count(Endpoint::Token), 0);
}
