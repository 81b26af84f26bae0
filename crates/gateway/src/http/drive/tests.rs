//! Clients that are slow, idle or silent.

use std::convert::Infallible;

use bytes::Bytes;
use http::Version;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{
    http::{
        connection::tests::connection,
        request_body::RequestReader,
        response::{ResponseBody, ResponseMemory},
    },
    observation::RequestId,
};

/// A connection that answers each request with a response of `size` bytes.
struct Served {
    stream: Option<DuplexStream>,
    response_memory: ResponseMemory,
    task: JoinHandle<()>,
    _draining: watch::Sender<()>,
}

/// Answers each request with `size` bytes.
#[derive(Clone)]
struct Answers {
    size: usize,
    memory: ResponseMemory,
    reader: Arc<RequestReader>,
}

impl Answer for Answers {
    type Body = ResponseBody;
    type Error = Infallible;

    async fn answer(
        self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let exchange = connection.begin();
        let (mut head, body) = request.into_parts();
        let read = self.reader.read(connection.client, &mut head, body).await;
        let mut unsent = self.memory.reserve(connection.client).unwrap();
        let mut response = Response::new(());
        match read {
            Ok(_) => unsent = unsent.fill(Bytes::from(vec![b'x'; self.size])).unwrap(),
            Err(problem) => {
                let id = RequestId::of(&head.headers);
                *response.status_mut() = problem.into_response(&id).status();
            }
        }
        Ok(response.map(|()| unsent.send(exchange, head.version)))
    }
}

/// Longer than a client may delay a response or a connection.
const LONG: Duration = Duration::from_secs(300);

fn served(size: usize) -> Served {
    let (stream, server) = tokio::io::duplex(64);
    let (draining, drain) = watch::channel(());
    let response_memory = ResponseMemory::default();
    let answer = Answers {
        size,
        memory: response_memory.clone(),
        reader: Arc::new(RequestReader::new(Duration::from_secs(30), None)),
    };
    let task = tokio::spawn(async move {
        drive(server, &connection(), &answer, drain).await;
    });
    Served {
        stream: Some(stream),
        response_memory,
        task,
        _draining: draining,
    }
}

impl Served {
    fn stream(&mut self) -> DuplexStream {
        self.stream.take().unwrap()
    }

    /// Waits until the connection is closed, and returns how long that took.
    async fn closed(&mut self) -> Duration {
        let start = Instant::now();
        let closed = tokio::time::timeout(LONG, &mut self.task).await;
        closed.expect("it stays open").unwrap();
        start.elapsed()
    }

    /// Waits until no response uses memory, and returns how long that took.
    async fn memory_released(&self) -> Duration {
        let start = Instant::now();
        while self.response_memory.in_use() > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(start.elapsed() < LONG, "the memory is held");
        }
        start.elapsed()
    }
}

pub(in crate::http) fn get(path: &str) -> Request<()> {
    let uri = format!("http://localhost{path}");
    let request = Request::builder().version(Version::HTTP_2).uri(uri);
    request.body(()).unwrap()
}

/// An HTTP/2 client that answers pings.
pub(in crate::http) async fn http2(
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
async fn an_http_1_client_that_reads_too_slowly_is_disconnected() {
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
    assert!(
        served.response_memory.in_use() >= 1 << 20,
        "it counts until sent"
    );
    let open = served.closed().await;
    assert!(open >= Duration::from_secs(20), "{open:?}");
    assert_eq!(served.response_memory.in_use(), 0);
    assert!(reader.await.unwrap() > 0);
}

#[tokio::test(start_paused = true)]
async fn an_http_2_client_with_a_window_of_0_is_disconnected() {
    let mut served = served(1 << 20);
    let (client, connection) = http2(served.stream(), 0).await;
    let mut client = client.ready().await.unwrap();
    let mut responses = Vec::new();
    for _ in 0..5 {
        let (response, _) = client.send_request(get("/"), true).unwrap();
        responses.push(response.await.unwrap());
    }
    assert!(served.response_memory.in_use() >= 5 << 20);
    let open = served.closed().await;
    assert!(open >= Duration::from_secs(30), "{open:?}");
    assert_eq!(served.response_memory.in_use(), 0);
    drop((responses, client, connection));
}

#[tokio::test(start_paused = true)]
async fn an_http_2_response_that_is_not_read_is_reset_alone() {
    let mut served = served(200 * 1024);
    let (client, connection) = http2(served.stream(), 65_535).await;
    let mut client = client.ready().await.unwrap();
    let (response, _) = client.send_request(get("/"), true).unwrap();
    let mut stuck = response.await.unwrap().into_body();
    let mut taken = 0;
    while taken < 65_535 {
        taken += stuck.data().await.unwrap().unwrap().len();
    }
    assert!(served.response_memory.in_use() > 0);
    let start = Instant::now();
    let error = stuck.data().await.unwrap().unwrap_err();
    assert!(error.is_reset(), "{error:?}");
    assert!(start.elapsed() >= Duration::from_secs(30));
    assert_eq!(served.memory_released().await, Duration::ZERO);

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
    assert_eq!(served.memory_released().await, Duration::ZERO);
    drop(client);
    connection.await.unwrap().unwrap();
    served.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_that_reads_fast_enough_gets_its_response() {
    let mut served = served(2 << 20);
    let (client, _connection) = http2(served.stream(), 65_535).await;
    let mut client = client.ready().await.unwrap();
    let (response, _) = client.send_request(get("/"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let (start, mut length) = (Instant::now(), 0);
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        length += data.len();
        // 16,384 bytes a second, which is the minimum.
        tokio::time::sleep(Duration::from_micros(data.len() as u64 * 61)).await;
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(length, 2 << 20);
    assert!(start.elapsed() > Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn an_http_2_client_without_requests_gets_a_goaway() {
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
async fn a_client_that_sends_nothing_or_little_is_disconnected() {
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
async fn a_body_that_is_not_read_is_answered_before_it_arrives() {
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
    // A client that reads only after it has sent everything gets the response too, and can go on.
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
