//! One connection: served by hyper, within time limits.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::MissedTickBehavior,
};

use super::{
    connection::{Connection, Verdict},
    turns::Turns,
    write_timeout::WriteTimeout,
};

/// The most header fields in a request.
const MAX_HEADERS: usize = 64;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// How long a request's head may take to arrive, and an idle HTTP/1.1 connection may wait for one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may accept none of the bytes that wait to be sent.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a connection is checked for progress.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;

/// How many bytes an HTTP/2 client may send that have not been read: of one request, and of all
/// requests on its connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How often an HTTP/2 client gets a ping, and how long its reply may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What answers the requests of connections.
pub trait Answer: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data: Send, Error: Into<BoxError>> + Send + 'static;
    /// Why there is no answer: the connection ends, or with HTTP/2 the stream.
    type Error: Into<BoxError>;

    /// The answer to one request that came over `connection`.
    fn answer(
        self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Self::Error>> + Send + 'static;
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves one connection until it ends: by itself, gracefully when `drain` changes or when it has
/// been idle for long, or at once when its client makes no progress.
pub(super) async fn drive<S, A>(
    stream: S,
    connection: &Arc<Connection>,
    answer: &A,
    mut drain: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Answer,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        // No copy into a buffer: bytes that wait to be sent are counted.
        .writev(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    let service = service_fn(|request| answer.clone().answer(request, Arc::clone(connection)));
    let stream = WriteTimeout::new(stream, WRITE_TIMEOUT);
    let stream = TokioIo::new(Turns::new(stream));
    let mut serving = pin!(builder.serve_connection(stream, service));
    let mut checks = tokio::time::interval(CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drained = false;
    loop {
        tokio::select! {
            result = &mut serving => {
                if let Err(error) = result {
                    tracing::debug!(reason = %error, "a connection ended");
                }
                return;
            }
            _ = drain.changed(), if !drained => {
                drained = true;
                serving.as_mut().graceful_shutdown();
            }
            now = checks.tick() => match connection.verdict(now) {
                Verdict::Active => {}
                Verdict::Idle => serving.as_mut().graceful_shutdown(),
                Verdict::Stuck => {
                    tracing::debug!("a connection made no progress and was closed");
                    return;
                }
            },
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
