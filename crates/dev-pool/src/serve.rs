//! The pool on a socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use device_grant_domain::{Clock, Entropy, SystemClock, SystemEntropy};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::config::DevPoolConfig;
use crate::pool::DevPool;

impl DevPool {
    /// Answers on `listener` until the future is dropped, which ends every connection too. HTTP/1.1, no TLS: for
    /// the loopback only.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        self.serve_until(listener, std::future::pending()).await
    }

    /// Answers on `listener` until `end` comes; then the listener and every connection are closed when this returns.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve_until(self, listener: TcpListener, end: impl Future<Output = ()>) -> io::Result<()> {
        tracing::warn!(issuer = self.issuer(), "development user pool: never for production");
        let service = TowerToHyperService::new(self.router());
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        let ended = loop {
            tokio::select! {
                () = &mut end => break Ok(()),
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => { connections.spawn(converse(stream, service.clone())); }
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => break Err(error),
                },
            }
        };
        drop(listener);
        connections.shutdown().await;
        ended
    }
}

async fn converse(stream: TcpStream, service: TowerToHyperService<axum::Router>) {
    // A small answer after a small request must not wait for the peer's delayed acknowledgement.
    let prompt = stream.set_nodelay(true);
    let outcome = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let (Err(error), _) | (Ok(()), Err(error)) = (outcome.map_err(io::Error::other), prompt) {
        tracing::debug!(%error, "a connection to the development user pool ended early");
    }
}

/// The peer was gone before it was let in.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A pool on a free port of 127.0.0.1, in a task of its own. Dropping it ends the task.
#[derive(Debug)]
pub struct LoopbackPool {
    pool: DevPool,
    address: SocketAddr,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    end: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl LoopbackPool {
    /// A pool with the machine's clock and randomness. `configure` gets the issuer, `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn spawn(configure: impl FnOnce(Url) -> DevPoolConfig) -> io::Result<Self> {
        Self::spawn_with(configure, Arc::new(SystemClock), Arc::new(SystemEntropy)).await
    }

    /// A pool with a clock and randomness of the caller's.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn spawn_with(
        configure: impl FnOnce(Url) -> DevPoolConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let issuer = Url::parse(&format!("http://{address}")).map_err(io::Error::other)?;
        let pool = DevPool::new(configure(issuer), clock, entropy);
        let running = Mutex::new(Some(Running::start(pool.clone(), listener)));
        Ok(Self { pool, address, running })
    }

    /// The pool.
    pub fn pool(&self) -> &DevPool {
        &self.pool
    }

    /// The issuer, `http://127.0.0.1:PORT` and the path that the configuration added.
    pub fn issuer(&self) -> &str {
        self.pool.issuer()
    }

    /// Closes every connection and the port: whoever connects from now on is refused. What the pool has issued
    /// stays.
    pub async fn refuse_connections(&self) {
        if let Some(Running { end, task }) = self.running.lock().await.take() {
            // Neither a task that has ended already nor one that failed leaves a port open.
            let _ = end.send(());
            let _ = task.await;
        }
    }

    /// Opens the same port again.
    ///
    /// # Errors
    /// When somebody else has taken the port.
    pub async fn accept_connections(&self) -> io::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(Running::start(self.pool.clone(), TcpListener::bind(self.address).await?));
        }
        Ok(())
    }
}

impl Running {
    fn start(pool: DevPool, listener: TcpListener) -> Self {
        let (end, ended) = oneshot::channel();
        // Dropping the sender ends the task as well.
        let task = tokio::spawn(pool.serve_until(listener, async {
            let _ = ended.await;
        }));
        Self { end, task }
    }
}
