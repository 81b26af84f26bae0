//! Connections: accepted, limited, served and drained.

use std::io;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Service;
use super::idle::IdleTimeout;

/// Header fields in a request at most.
const MAX_HEADERS: usize = 64;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// How long a request's head may take to arrive, and an idle HTTP/1.1 connection may wait for one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may leave a response unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;

/// How often an HTTP/2 connection is asked whether it still is there, and how long it may take
/// to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long to wait before trying again when the system is out of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are served.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Open ones at a time; more wait in the system's queue.
    pub max: usize,
    /// How long a client may send nothing. Longer than any request may take: while it is
    /// handled its client is silent.
    pub read_timeout: Duration,
    /// How long requests that are being handled may go on after the shutdown began.
    pub shutdown_grace: Duration,
}

/// Serves HTTP/1.1 and HTTP/2 (with prior knowledge, without TLS) on `listener` until
/// `shutdown` is ready; then accepts nothing new, lets requests finish, and returns when all
/// have or the grace period is over.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    connections: Connections,
    shutdown: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let permits = std::sync::Arc::new(Semaphore::new(connections.max));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // The permit first: a connection that is not accepted costs nothing.
        let accepted = async {
            let permit = std::sync::Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_if_exhausted(error).await;
                continue;
            }
        };
        match connection(stream, service.clone(), connections.read_timeout) {
            Ok(connection) => {
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(reason = %error, "a connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) => tracing::debug!(reason = %error, "a connection ended at once"),
        }
    }
    drop(listener);
    tracing::info!(connections = graceful.count(), "shutting down");
    let drained = tokio::time::timeout(connections.shutdown_grace, graceful.shutdown());
    if drained.await.is_err() {
        tracing::warn!("the grace period is over; requests that still run are cut off");
    }
}

/// Serves one connection.
fn connection(
    stream: TcpStream,
    service: Service,
    read_timeout: Duration,
) -> io::Result<
    impl hyper_util::server::graceful::GracefulConnection<
        Error = Box<dyn std::error::Error + Send + Sync>,
    > + Send
    + 'static,
> {
    // A response is one write; waiting for more would only delay it.
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let stream = IdleTimeout::new(stream, read_timeout, WRITE_TIMEOUT);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    let service = service_fn(move |request| service.clone().answer(request, local));
    Ok(builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned())
}

/// Some errors of `accept` are the connection's own; others stay until something is closed.
async fn pause_if_exhausted(error: io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::error!(reason = %error, "cannot accept connections");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
