//! When to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Comes with the first SIGTERM or Ctrl-C.
pub(crate) async fn stop_requested() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        tracing::error!("SIGTERM cannot be listened for");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
