use std::sync::Arc;

use anyhow::{Context as _, ensure};
use chaos::{Habits, Load, Report, World};

/// ST-11: all replicas are replaced, one after the other, while devices start, poll and refresh and people approve. Each
/// ends by itself, and nobody notices: no request fails, and no login is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_is_noticed_by_nobody() -> anyhow::Result<()> {
    let mut world = World::alone().await?;
    let street = Arc::clone(&world.street);
    let http = street.http()?;
    let load = Load::start(&street, Habits { devices: 12, refreshes: 10, loses: 0, seed: 0 });
    for (number, replica) in world.replicas.iter_mut().enumerate() {
        let status = replica.stop().await.with_context(|| format!("replica {number}"))?;
        ensure!(status.success(), "replica {number} ended with {status}");
        replica.start()?;
        replica.ready(&http).await?;
        street.all_serve(&http).await?;
    }
    let logins = load.end().await?;
    let report = Report::of(&logins, &street).await?;
    println!("\na rolling restart of {} replicas\n{report}", world.replicas.len());
    let troubles = logins.iter().flat_map(|login| login.troubles.iter().chain(&login.seen.troubles));
    let troubles: Vec<_> = troubles.collect();
    ensure!(troubles.is_empty(), "requests have failed: {troubles:#?}");
    report.assert_sound();
    assert_eq!(report.finished, report.started);
    Ok(())
}
