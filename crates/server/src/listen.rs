//! The accept loop: deadlines for request heads, a cap on connections, and an orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use crate::config::Network;

/// A request whose head has not ended after about this many bytes is refused.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// When the system has no more descriptors, accepting at once would spin.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_millis(100);

/// The places of a listener: one for each connection.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    limit: usize,
    places: Arc<Semaphore>,
    open: Arc<AtomicUsize>,
}

impl Connections {
    /// `limit` places.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { limit, places: Arc::new(Semaphore::new(limit)), open: Arc::default() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many are taken by a connection. The next one has its place before it comes.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// A connection that counts as open.
struct Open(Arc<AtomicUsize>, #[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Open {
    fn new(connections: &Connections, place: OwnedSemaphorePermit) -> Self {
        connections.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&connections.open), place)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves `router` until `stopped`, then lets open requests finish for as long as `network` says.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    network: &Network,
    connections: &Connections,
    stopped: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    // Without a timer hyper knows no deadline at all.
    http.timer(TokioTimer::new()).header_read_timeout(network.header_timeout).max_buf_size(MAX_HEAD);
    let ending = GracefulShutdown::new();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = accept(&listener, connections) => accepted,
        };
        let (stream, peer, open) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE_AFTER_TROUBLE).await;
                continue;
            }
        };
        let router = router.clone();
        let service = service_fn(move |request| router.clone().oneshot(from(peer, request)));
        let connection = ending.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(open);
        });
    }
    drop(listener);
    if tokio::time::timeout(network.drain_timeout, ending.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
) -> io::Result<(TcpStream, SocketAddr, Open)> {
    let place = Arc::clone(&connections.places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // A small answer after a small request must not wait for the peer's acknowledgement.
    stream.set_nodelay(true)?;
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    Ok((stream, peer, Open::new(connections, place)))
}

/// Handlers read the peer from the extensions.
fn from(peer: SocketAddr, request: Request<Incoming>) -> Request<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}
