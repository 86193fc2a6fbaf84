use std::time::Duration;

use chaos::{Plan, World, chaos};

/// ST-01, ST-09, ST-10, ST-11, ST-12, TP-18: replicas are killed, answers of the store are lost, the pool stands still. No
/// login is lost before its hand-over is written, no token is handed out twice, and no code leads to somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn no_login_is_lost_in_the_chaos() -> anyhow::Result<()> {
    let mut world = World::alone().await?;
    let plan = Plan { seed: 2025, length: Duration::from_secs(40), devices: 12 };
    let run = chaos(&mut world, plan).await?;
    println!("{run}");
    run.report.assert_sound();
    Ok(())
}
