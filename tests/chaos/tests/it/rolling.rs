use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chaos::{Habits, Load, Report, World};
use e2e::{LOGIN, SCOPE, Television};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Devices that poll all the time, whatever they are told: some request is always on the way.
const IMPATIENT: usize = 6;
/// Until people have come to the pages.
const START: Duration = Duration::from_secs(3);

/// ST-11: all replicas are replaced, one after the other, while devices start, poll and refresh and people approve. Each
/// ends by itself, and nobody notices: no request fails, and no login is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_is_noticed_by_nobody() -> anyhow::Result<()> {
    let mut world = World::alone().await?;
    let street = Arc::clone(&world.street);
    let http = street.http()?;
    let load = Load::start(&street, Habits { devices: 12, refreshes: 10, bad_air: None });
    let over = Arc::new(AtomicBool::new(false));
    let mut impatient = JoinSet::new();
    for _ in 0..IMPATIENT {
        impatient.spawn(poll_on(street.television("tv")?, Arc::clone(&over)));
    }
    sleep(START).await;
    for (number, replica) in world.replicas.iter_mut().enumerate() {
        let status = replica.stop().await.with_context(|| format!("replica {number}"))?;
        ensure!(status.success(), "replica {number} ended with {status}");
        replica.start()?;
        replica.ready(&http).await?;
        street.all_serve(&http).await?;
    }
    over.store(true, Ordering::Relaxed);
    let mut polls = 0;
    while let Some(of_one) = impatient.join_next().await {
        polls += of_one??;
    }
    let logins = load.end().await?;
    let report = Report::of(&logins, &street).await?;
    println!("\na rolling restart of {} replicas, and {polls} more polls\n{report}", world.replicas.len());
    let troubles = logins.iter().flat_map(|login| login.troubles.iter().chain(&login.seen.troubles));
    let troubles: Vec<_> = troubles.collect();
    ensure!(troubles.is_empty(), "requests have failed: {troubles:#?}");
    report.assert_sound();
    assert_eq!(report.finished, report.started);
    Ok(())
}

/// Polls without a pause until it is over; every poll has to be answered by a replica. Returns how many were.
async fn poll_on(television: Television, over: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let waiting = television.start(SCOPE).await?;
    let mut polls = 0;
    while !over.load(Ordering::Relaxed) {
        let answer = television.poll(&waiting).await.with_context(|| format!("after {polls} polls"))?;
        ensure!(answer.status == 400, "after {polls} polls: {answer:?}");
        polls += 1;
    }
    Ok(polls)
}

/// ST-11: what has begun to arrive when a replica is told to end is answered, also after it has stopped to listen.
#[tokio::test]
async fn a_request_in_flight_outlives_the_listener() -> anyhow::Result<()> {
    let mut world = World::alone().await?;
    let replica = &mut world.replicas[0];
    let address = replica.address();
    let body = "device_code=unknown\
                &grant_type=urn:ietf:params:oauth:grant-type:device_code";
    let (first, rest) = body.split_at(20);
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: {LOGIN}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n\
         Authorization: Basic dHY6dHYtc2VjcmV0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let late = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
        stream.write_all(rest.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let (status, answer) = tokio::join!(replica.stop(), late);
    let (status, answer) = (status?, answer?);
    ensure!(answer.contains("invalid_grant"), "{answer}");
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}
