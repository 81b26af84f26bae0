//! Connections: accepted, limited, served and drained.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::Service;
use super::answer::Answer;
use super::client::{Client, Lease, Pool, Share};
use super::connection::{Connection, Verdict};
use super::write::WriteTimeout;

/// Header fields in a request at most.
const MAX_HEADERS: usize = 64;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// How long a request's head may take to arrive, and an idle HTTP/1.1 connection may wait for one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take nothing of what waits to be sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a connection is looked at that may stand still.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;

/// What an HTTP/2 client may send that has not been read, in bytes: of one request, and of all on
/// its connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How often an HTTP/2 connection is asked whether it still is there, and how long it may take
/// to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long to wait before trying again when the system is out of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often the log says that a client has all connections that it may have.
const REFUSALS_LOGGED: Duration = Duration::from_secs(60);

/// How connections are served.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Open ones at a time; more wait in the system's queue.
    pub max: usize,
    /// Open ones at a time from one IPv4 address or IPv6 network of 64 bits; more are closed at
    /// once. `None`: as many as others leave, and any number from this machine.
    pub max_per_client: Option<NonZeroU16>,
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
    let (draining, drain) = watch::channel(());
    let permits = Arc::new(Semaphore::new(connections.max));
    let mut clients = Clients::new(connections);
    let mut numbers = 0..;
    let mut shutdown = pin!(shutdown);
    loop {
        // The permit first: a connection that is not accepted costs nothing.
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let (stream, remote) = match accepted {
            Ok((stream, remote)) => (stream, remote.ip()),
            Err(error) => {
                pause_if_exhausted(error).await;
                continue;
            }
        };
        let number = numbers.next().unwrap_or_default();
        let Some(lease) = clients.admit(remote, number) else {
            continue;
        };
        match prepare(&stream, remote, number) {
            Ok(connection) => {
                let service = service.clone();
                let drain = drain.clone();
                tokio::spawn(async move {
                    let answer = move |request, connection| {
                        let service = service.clone();
                        async move {
                            let Ok(response) = service.answer(request, connection).await;
                            response
                        }
                    };
                    keep(stream, &connection, answer, drain).await;
                    drop((lease, permit));
                });
            }
            Err(error) => tracing::debug!(reason = %error, "a connection ended at once"),
        }
    }
    drop((listener, drain));
    tracing::info!(connections = draining.receiver_count(), "shutting down");
    draining.send_replace(());
    let drained = tokio::time::timeout(connections.shutdown_grace, draining.closed());
    if drained.await.is_err() {
        tracing::warn!("the grace period is over; requests that still run are cut off");
    }
}

/// The connections that each client has.
struct Clients {
    pool: Arc<Pool>,
    /// Whether connections from this machine count as one client's.
    with_local: bool,
    logged: Option<Instant>,
}

impl Clients {
    fn new(connections: Connections) -> Self {
        let share = match connections.max_per_client {
            Some(max) => Share::AtMost(usize::from(max.get())),
            None => Share::WhatIsLeft,
        };
        Self {
            pool: Pool::new(connections.max, share),
            with_local: connections.max_per_client.is_some(),
            logged: None,
        }
    }

    /// Counts a connection; `None` if its client may not have another one.
    fn admit(&mut self, remote: IpAddr, number: u64) -> Option<Lease> {
        let client = if self.with_local {
            Client::of_address(remote)
        } else {
            Client::of_connection(remote, number)
        };
        let mut lease = self.pool.lease(client);
        if lease.grow_to(1).is_ok() {
            return Some(lease);
        }
        let now = Instant::now();
        if self.logged.is_none_or(|last| now - last >= REFUSALS_LOGGED) {
            self.logged = Some(now);
            tracing::warn!(
                client = %remote,
                "a client has all connections that it may have (--max-connections-per-client)"
            );
        }
        None
    }
}

fn prepare(stream: &TcpStream, remote: IpAddr, number: u64) -> io::Result<Arc<Connection>> {
    // A response is one write; waiting for more would only delay it.
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream.local_addr()?, remote, number))
}

/// Serves one connection until it ends: by itself, in order when `drain` changes or it has been
/// idle for long, or at once when its client makes no progress.
async fn keep<S, A, F>(
    stream: S,
    connection: &Arc<Connection>,
    answer: A,
    mut drain: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Fn(Request<Incoming>, Arc<Connection>) -> F,
    F: Future<Output = Response<Answer>> + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        // Not copied into a buffer: what waits to be sent is counted.
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
    let service = service_fn(|request| {
        let response = answer(request, Arc::clone(connection));
        async move { Ok::<_, std::convert::Infallible>(response.await) }
    });
    let stream = TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT));
    let mut serving = pin!(builder.serve_connection(stream, service));
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
            now = looks.tick() => match connection.verdict(now) {
                Verdict::Fine => {}
                Verdict::Idle => serving.as_mut().graceful_shutdown(),
                Verdict::Stuck => {
                    tracing::debug!("a connection made no progress and was closed");
                    return;
                }
            },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    use bytes::Bytes;
    use http::Version;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::task::JoinHandle;

    use crate::http::answer::Answers;
    use crate::http::body::Requests;
    use crate::http::connection::tests::connection;

    /// A connection that is served: for each request an answer of `size` bytes.
    struct Served {
        stream: Option<DuplexStream>,
        answers: Answers,
        task: JoinHandle<()>,
        _draining: watch::Sender<()>,
    }

    /// Longer than anything that a client may hold an answer or a connection for.
    const LONG: Duration = Duration::from_secs(300);

    fn served(size: usize) -> Served {
        let (stream, server) = tokio::io::duplex(64);
        let (draining, drain) = watch::channel(());
        let answers = Answers::default();
        let requests = Arc::new(Requests::new(Duration::from_secs(30), None));
        let memory = answers.clone();
        let answer = move |request: Request<Incoming>, connection: Arc<Connection>| {
            let (memory, requests) = (memory.clone(), Arc::clone(&requests));
            async move {
                let exchange = connection.begin();
                let (mut head, body) = request.into_parts();
                let taken = requests.take(connection.client, &mut head, body).await;
                let mut unsent = memory.begin(connection.client).unwrap();
                let mut response = Response::new(());
                match taken {
                    Ok(_) => unsent = unsent.fill(Bytes::from(vec![b'x'; size])).unwrap(),
                    Err(problem) => *response.status_mut() = problem.into_response().status(),
                }
                response.map(|()| unsent.send(exchange, head.version))
            }
        };
        let task = tokio::spawn(async move {
            keep(server, &connection(), answer, drain).await;
        });
        Served {
            stream: Some(stream),
            answers,
            task,
            _draining: draining,
        }
    }

    impl Served {
        fn stream(&mut self) -> DuplexStream {
            self.stream.take().unwrap()
        }

        /// Waits until the connection is closed; how long that took.
        async fn closed(&mut self) -> Duration {
            let start = Instant::now();
            let closed = tokio::time::timeout(LONG, &mut self.task).await;
            closed.expect("it stays open").unwrap();
            start.elapsed()
        }

        /// Waits until answers take up no memory; how long that took.
        async fn given_back(&self) -> Duration {
            let start = Instant::now();
            while self.answers.in_use() > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(start.elapsed() < LONG, "the memory is held");
            }
            start.elapsed()
        }
    }

    fn get(path: &str) -> Request<()> {
        let uri = format!("http://localhost{path}");
        let request = Request::builder().version(Version::HTTP_2).uri(uri);
        request.body(()).unwrap()
    }

    /// An HTTP/2 client that answers pings.
    async fn http2(
        stream: DuplexStream,
        window: u32,
    ) -> (
        h2::client::SendRequest<Bytes>,
        JoinHandle<Result<(), h2::Error>>,
    ) {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (client, connection) = builder.handshake(stream).await.unwrap();
        (client, tokio::spawn(connection))
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_1_client_that_takes_little_is_given_up() {
        let mut served = served(1 << 20);
        let mut stream = served.stream();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        let reader = tokio::spawn(async move {
            let mut bytes = 0;
            while stream.read_u8().await.is_ok() {
                bytes += 1;
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
            bytes
        });
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(served.answers.in_use() >= 1 << 20, "it counts until sent");
        let open = served.closed().await;
        assert!(open >= Duration::from_secs(20), "{open:?}");
        assert_eq!(served.answers.in_use(), 0);
        assert!(reader.await.unwrap() > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_client_with_a_window_of_0_is_given_up() {
        let mut served = served(1 << 20);
        let (client, connection) = http2(served.stream(), 0).await;
        let mut client = client.ready().await.unwrap();
        let mut responses = Vec::new();
        for _ in 0..5 {
            let (response, _) = client.send_request(get("/"), true).unwrap();
            responses.push(response.await.unwrap());
        }
        assert!(served.answers.in_use() >= 5 << 20);
        let open = served.closed().await;
        assert!(open >= Duration::from_secs(30), "{open:?}");
        assert_eq!(served.answers.in_use(), 0);
        drop((responses, client, connection));
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_answer_that_is_not_taken_is_reset_alone() {
        let mut served = served(200 * 1024);
        let (client, connection) = http2(served.stream(), 65_535).await;
        let mut client = client.ready().await.unwrap();
        let (response, _) = client.send_request(get("/"), true).unwrap();
        let mut stuck = response.await.unwrap().into_body();
        let mut taken = 0;
        while taken < 65_535 {
            taken += stuck.data().await.unwrap().unwrap().len();
        }
        assert!(served.answers.in_use() > 0);
        let start = Instant::now();
        let error = stuck.data().await.unwrap().unwrap_err();
        assert!(error.is_reset(), "{error:?}");
        assert!(start.elapsed() >= Duration::from_secs(30));
        assert_eq!(served.given_back().await, Duration::ZERO);

        stuck.flow_control().release_capacity(taken).unwrap();
        let (response, _) = client.send_request(get("/"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut length = 0;
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            length += data.len();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        assert_eq!(length, 200 * 1024);
        assert_eq!(served.given_back().await, Duration::ZERO);
        drop(client);
        connection.await.unwrap().unwrap();
        served.closed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_that_takes_enough_gets_its_answer() {
        let mut served = served(2 << 20);
        let (client, _connection) = http2(served.stream(), 65_535).await;
        let mut client = client.ready().await.unwrap();
        let (response, _) = client.send_request(get("/"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let (start, mut length) = (Instant::now(), 0);
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            length += data.len();
            // 16,384 bytes a second, which is what it must be.
            tokio::time::sleep(Duration::from_micros(data.len() as u64 * 61)).await;
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        assert_eq!(length, 2 << 20);
        assert!(start.elapsed() > Duration::from_secs(100));
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_client_without_requests_is_told_to_go() {
        let mut served = served(1);
        let (client, connection) = http2(served.stream(), 65_535).await;
        let mut client = client.ready().await.unwrap();
        let (response, _) = client.send_request(get("/"), true).unwrap();
        let body = response.await.unwrap().into_body().data().await;
        assert_eq!(body.unwrap().unwrap(), "x");
        let open = served.closed().await;
        assert!(open >= Duration::from_secs(60), "{open:?}");
        connection.await.unwrap().expect("it ends in order");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_or_little_is_given_up() {
        for greeting in [
            &b""[..],
            b"PRI * HTTP/2.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/1.1\r\n",
        ] {
            let mut served = served(1);
            let mut stream = served.stream();
            stream.write_all(greeting).await.unwrap();
            let open = served.closed().await;
            assert!(open >= Duration::from_secs(30), "{open:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_read_is_answered_before_it_arrives() {
        let mut served = served(3);
        let mut stream = served.stream();
        let start = Instant::now();
        stream
            .write_all(b"POST /nothing HTTP/1.1\r\nhost: h\r\ncontent-length: 60000\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200 OK");
        assert_eq!(start.elapsed(), Duration::ZERO);
        // A client that reads only when it has sent everything gets the answer too, and may go on.
        let (mut read, mut write) = tokio::io::split(stream);
        let writer = tokio::spawn(async move {
            write.write_all(&[b'x'; 60_000]).await.unwrap();
            write
                .write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            write
        });
        let mut rest = String::new();
        read.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest.matches("HTTP/1.1 200 OK").count(), 1, "{rest}");
        drop(writer.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends_when_the_gateway_does() {
        let mut served = served(1);
        let (client, _connection) = http2(served.stream(), 65_535).await;
        let _client = client.ready().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        served._draining.send_replace(());
        assert!(served.closed().await < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn connections_of_one_client_are_limited() {
        let connections = |max_per_client| Connections {
            max: 10,
            max_per_client: NonZeroU16::new(max_per_client),
            shutdown_grace: Duration::ZERO,
        };
        let admitted = |clients: &mut Clients, address: [u8; 4]| {
            let leases = (0..20).map_while(|number| clients.admit(address.into(), number));
            leases.collect::<Vec<_>>()
        };
        // By default nobody takes more than others leave.
        let mut clients = Clients::new(connections(0));
        let first = admitted(&mut clients, [192, 0, 2, 1]);
        let second = admitted(&mut clients, [192, 0, 2, 2]);
        assert_eq!([first.len(), second.len()], [5, 3]);
        drop(first);
        assert_eq!(admitted(&mut clients, [192, 0, 2, 3]).len(), 4);

        // A proxy on this machine brings many clients.
        let mut clients = Clients::new(connections(0));
        assert_eq!(admitted(&mut clients, [127, 0, 0, 1]).len(), 10);

        // What an operator says holds for everybody.
        let mut clients = Clients::new(connections(2));
        for address in [[127, 0, 0, 1], [192, 0, 2, 1]] {
            assert_eq!(admitted(&mut clients, address).len(), 2);
        }
    }
}
