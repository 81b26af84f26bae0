//! Bodies that are long, slow, broken or unwanted.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use http::{Method, Request, header::AUTHORIZATION};
use http_body::Frame;
use http_body_util::Full;
use tokio::time::Sleep;

use super::{super::body_policy, *};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const REGISTER: &str = "/flashaccess/domainserver/d/register";
const DOMAIN: &str = "/admin/v1/domains/d";
const TIMEOUT: Duration = Duration::from_secs(30);

fn head(method: Method, path: &str, authorization: &[&str]) -> Parts {
    let mut request = Request::builder().method(method).uri(path);
    for value in authorization {
        request = request.header(AUTHORIZATION, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn device() -> Parts {
    head(Method::POST, REGISTER, &[])
}

fn operator() -> Parts {
    head(Method::PUT, DOMAIN, &[&format!("Bearer {TOKEN}")])
}

fn reader() -> RequestReader {
    RequestReader::new(TIMEOUT, Some(TOKEN))
}

fn client(number: u8) -> Client {
    Client::V4([192, 0, 2, number].into())
}

/// The length of the body that is read.
async fn read(head: &mut Parts, body: impl Into<Bytes>) -> Result<usize, Problem> {
    let body = Full::new(body.into());
    let received = reader().read(client(1), head, body).await?;
    Ok(received.bytes.len())
}

/// A body in pieces, each some time after the previous one. An unfinished body never ends.
struct Pieces {
    pieces: VecDeque<(Duration, usize)>,
    sleep: Option<Pin<Box<Sleep>>>,
    finished: bool,
    read: Arc<AtomicUsize>,
}

fn pieces(pieces: impl IntoIterator<Item = (u64, usize)>) -> Pieces {
    Pieces {
        pieces: pieces
            .into_iter()
            .map(|(seconds, size)| (Duration::from_secs(seconds), size))
            .collect(),
        sleep: None,
        finished: true,
        read: Arc::default(),
    }
}

fn unfinished(size: usize) -> Pieces {
    Pieces {
        finished: false,
        ..pieces([(0, size)])
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some((pause, size)) = self.pieces.front().copied() else {
            return if self.finished {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        std::task::ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        self.pieces.pop_front();
        self.read.fetch_add(size, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(vec![0; size].into()))))
    }
}

#[tokio::test]
async fn the_limits_are_exact() {
    for (head, limit) in [
        (device as fn() -> Parts, body_policy::MAX_DEVICE_BYTES),
        (operator, body_policy::MAX_OPERATOR_BYTES),
    ] {
        for size in [0, 1, limit] {
            assert_eq!(read(&mut head(), vec![0; size]).await, Ok(size));
        }
        let too_long = read(&mut head(), vec![0; limit + 1]).await;
        assert_eq!(too_long, Err(Problem::BodyTooLarge));
        // The same without a length in the head.
        let body = pieces([(0, limit), (0, 1)]);
        let too_long = reader().read(client(1), &mut head(), body).await;
        assert_eq!(too_long.err(), Some(Problem::BodyTooLarge));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_read_is_not_waited_for() {
    let mut head = head(Method::POST, "/nothing", &[]);
    head.headers.insert(CONTENT_LENGTH, 5.into());
    let start = Instant::now();
    let received = reader().read(client(1), &mut head, unfinished(1)).await;
    assert!(received.unwrap().bytes.is_empty());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(!head.headers.contains_key(CONTENT_LENGTH));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_read_is_discarded() {
    let read_of = async |version, expects, mut body: Pieces| {
        let read = Arc::clone(&body.read);
        body.pieces.push_back((Duration::ZERO, 1));
        let mut head = head(Method::POST, "/nothing", &[]);
        head.version = version;
        if expects {
            head.headers
                .insert(EXPECT, http::HeaderValue::from_static("100-continue"));
        }
        let _received = reader().read(client(1), &mut head, body).await;
        tokio::time::sleep(2 * TIMEOUT).await;
        read.load(Ordering::Relaxed)
    };
    let body = || pieces([(1, 100_000), (1, 100_000)]);
    assert_eq!(read_of(Version::HTTP_11, false, body()).await, 200_001);
    assert_eq!(read_of(Version::HTTP_11, true, body()).await, 0);
    assert_eq!(read_of(Version::HTTP_2, false, body()).await, 0);
    // But not without limit.
    let endless = pieces((0..1000).map(|_| (0, 1 << 20)));
    assert_eq!(read_of(Version::HTTP_11, false, endless).await, 17 << 20);
    let slow = pieces((0..1000).map(|_| (1, 2048)));
    assert!(read_of(Version::HTTP_11, false, slow).await <= 30 * 2048);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_times_out() {
    let start = Instant::now();
    let timed_out = async |body| {
        let start = Instant::now();
        let taken = reader().read(client(1), &mut device(), body).await;
        assert_eq!(taken.err(), Some(Problem::BodyTimeout));
        start.elapsed().as_secs()
    };
    assert_eq!(timed_out(unfinished(0)).await, 10);
    assert_eq!(timed_out(unfinished(5 * 1024)).await, 15);
    assert_eq!(timed_out(pieces((0..100).map(|_| (1, 1)))).await, 10);
    // Fast enough, but it takes too long.
    assert_eq!(timed_out(pieces((0..100).map(|_| (1, 1025)))).await, 30);
    assert!(start.elapsed() < Duration::from_secs(70));

    let body = pieces((0..20).map(|_| (1, 1024)));
    let received = reader().read(client(1), &mut device(), body).await;
    assert_eq!(received.unwrap().bytes.len(), 20 * 1024);
}

#[tokio::test]
async fn a_broken_body_is_a_bad_request() {
    struct Broken;
    impl Body for Broken {
        type Data = Bytes;
        type Error = &'static str;
        fn poll_frame(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(Some(Err("broken")))
        }
    }
    let taken = reader().read(client(1), &mut device(), Broken).await;
    assert_eq!(taken.err(), Some(Problem::BadBody));
}

#[tokio::test]
async fn memory_is_taken_as_a_body_arrives_and_given_back() {
    let reader = Arc::new(reader());
    let body = unfinished(1000);
    let reading = tokio::spawn({
        let reader = Arc::clone(&reader);
        async move { reader.read(client(1), &mut device(), body).await }
    });
    while reader.memory.in_use() < 1000 {
        tokio::task::yield_now().await;
    }
    assert!(reader.memory.in_use() < 2000);
    reading.abort();
    assert!(reading.await.is_err());
    assert_eq!(reader.memory.in_use(), 0);

    let body = Full::new(Bytes::from(vec![0; 5000]));
    let received = reader.read(client(1), &mut device(), body).await;
    assert!(reader.memory.in_use() >= 5000);
    drop(received);
    assert_eq!(reader.memory.in_use(), 0);
}

#[tokio::test]
async fn heads_take_memory_too() {
    let reader = reader();
    let mut head = head(Method::GET, "/healthz", &["x".repeat(1000).as_str()]);
    let received = reader.read(client(1), &mut head, Full::default()).await;
    assert!(reader.memory.in_use() >= 1000);
    drop(received);
}

#[tokio::test]
async fn one_client_cannot_take_what_others_need() {
    let mut reader = reader();
    reader.memory = Pool::new(1 << 20, Share::Remainder);
    let body = || Full::new(Bytes::from(vec![0; 64 * 1024]));
    let mut held = Vec::new();
    let refused = loop {
        match reader.read(client(1), &mut device(), body()).await {
            Ok(received) => held.push(received),
            Err(problem) => break problem,
        }
    };
    assert_eq!(refused, Problem::Overloaded);
    let other = reader.read(client(2), &mut device(), body()).await;
    assert!(other.is_ok());
    held.truncate(held.len() / 2);
    let again = reader.read(client(1), &mut device(), body()).await;
    assert!(again.is_ok());
}
