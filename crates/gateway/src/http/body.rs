//! Takes request bodies in whole before the component sees them: a client that sends slowly
//! holds a connection, but no instance. Only bodies that the component would read are taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http::{Method, Version};
use http_body::Body;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::client::{Client, Lease, Pool, Share};
use super::pace::Pace;
use super::problem::Problem;

/// What the path of every device's request begins with.
const DEVICES: &str = "/flashaccess/domainserver/";

/// What the path of every operator's request begins with.
const OPERATORS: &str = "/admin/v1/";

/// The longest body of a device's request, in bytes: the component's own limit of 64 KiB, and a
/// bit, so that it is the component that refuses what is just too long.
const MAX_DEVICE_BYTES: usize = 64 * 1024 + 4 * 1024;

/// The longest body of an operator's request, in bytes: the component's own limit of 1 MiB, and a
/// bit.
const MAX_OPERATOR_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// How much is read, and thrown away, of a body that is not wanted. A client that is still sending
/// when the connection closes may never see the answer.
const MAX_DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

/// What requests that are being read or handled may take together, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;

/// What a field of a request's head takes up besides its text, in bytes.
const FIELD_BYTES: usize = 128;

/// How fast a body must come.
const PACE: Pace = Pace {
    grace: Duration::from_secs(10),
    bytes_per_second: 1024,
};

/// Which requests may have a body, how slowly it may come, and the memory for requests.
#[derive(Debug)]
pub(super) struct Requests {
    memory: Arc<Pool>,
    /// How long a body may take as a whole.
    timeout: Duration,
    operator: Option<Token>,
}

/// The operators' token, by its length and SHA-256: comparing digests tells nothing of the token.
#[derive(Debug)]
struct Token {
    length: usize,
    digest: [u8; 32],
}

/// The memory of a request, and its body.
#[derive(Debug)]
pub(super) struct Received {
    /// The body; nothing where the component would not read it.
    pub bytes: Bytes,
    _lease: Lease,
}

impl Received {
    fn new(bytes: Vec<u8>, lease: Lease) -> Self {
        Self {
            bytes: bytes.into(),
            _lease: lease,
        }
    }
}

impl Requests {
    /// Bodies may take as long as `timeout`. Those of operators need `admin_token`.
    pub(super) fn new(timeout: Duration, admin_token: Option<&str>) -> Self {
        Self {
            memory: Pool::new(MEMORY, Share::WhatIsLeft),
            timeout,
            operator: admin_token
                .map(|token| token.trim().as_bytes())
                .filter(|token| !token.is_empty())
                .map(|token| Token {
                    length: token.len(),
                    digest: Sha256::digest(token).into(),
                }),
        }
    }

    /// Takes a request in: memory for its head, and its body, if the component would read it. A
    /// body that it would not read is not waited for, and its length is taken from the head.
    ///
    /// # Errors
    ///
    /// [`Problem::BodyTooLarge`], [`Problem::BodyTimeout`] if it comes too slowly,
    /// [`Problem::BadBody`] if it breaks off, [`Problem::Overloaded`] if other requests have taken
    /// all memory.
    pub(super) async fn take<B>(
        &self,
        client: Client,
        head: &mut Parts,
        mut body: B,
    ) -> Result<Received, Problem>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let result = self.read(client, head, &mut body).await;
        match result {
            // Whoever sends nothing, or nonsense, is not listened to any longer.
            Err(Problem::BodyTimeout | Problem::BadBody) => {}
            _ => self.discard(head, body),
        }
        result
    }

    async fn read<B>(
        &self,
        client: Client,
        head: &mut Parts,
        body: &mut B,
    ) -> Result<Received, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut lease = self.memory.lease(client);
        let taken =
            |lease: &mut Lease, bytes| lease.grow_to(bytes).map_err(|_| Problem::Overloaded);
        let head_bytes = bytes_of(head);
        taken(&mut lease, head_bytes)?;
        if body.is_end_stream() {
            return Ok(Received::new(Vec::new(), lease));
        }
        let Some(longest) = self.longest_body(head) else {
            head.headers.remove(CONTENT_LENGTH);
            return Ok(Received::new(Vec::new(), lease));
        };
        if body.size_hint().lower() > longest as u64 {
            return Err(Problem::BodyTooLarge);
        }
        let mut slow = Slow::new(self.timeout);
        let mut bytes = Vec::new();
        while let Some(data) = slow.next(body).await? {
            let length = bytes.len() + data.len();
            if length > longest {
                return Err(Problem::BodyTooLarge);
            }
            if length > bytes.capacity() {
                let capacity = length.max(2 * bytes.capacity()).min(longest);
                taken(&mut lease, head_bytes + capacity)?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Received::new(bytes, lease))
    }

    /// The longest body that the component would read of a request with this head; `None` if it
    /// would read none. What it does not know, what it knows under other methods, and what asks
    /// for an operator's rights without the token, it answers without a look at the body.
    fn longest_body(&self, head: &Parts) -> Option<usize> {
        let path = head.uri.path();
        if head.method == Method::POST && path.starts_with(DEVICES) {
            return Some(MAX_DEVICE_BYTES);
        }
        let changes = matches!(head.method, Method::PUT | Method::POST | Method::PATCH);
        (changes && path.starts_with(OPERATORS) && self.is_operators(head))
            .then_some(MAX_OPERATOR_BYTES)
    }

    /// Whether a credential ends with the operators' token. The component looks closer.
    fn is_operators(&self, head: &Parts) -> bool {
        let Some(token) = &self.operator else {
            return false;
        };
        head.headers.get_all(AUTHORIZATION).iter().any(|value| {
            let value = value.as_bytes().trim_ascii_end();
            value
                .len()
                .checked_sub(token.length)
                .is_some_and(|start| Sha256::digest(&value[start..])[..] == token.digest)
        })
    }

    /// Deals with a body that nobody will read. HTTP/2 lets a stream end without it. With HTTP/1.1
    /// it is read while the answer goes out, unless its client waits to be asked for it.
    fn discard<B>(&self, head: &Parts, body: B)
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        if body.is_end_stream()
            || head.version >= Version::HTTP_2
            || head.headers.contains_key(EXPECT)
            || body.size_hint().lower() > MAX_DISCARDED_BYTES
        {
            return;
        }
        let slow = Slow::new(self.timeout);
        tokio::spawn(discard(slow, body));
    }
}

/// What a head takes up, in bytes.
fn bytes_of(head: &Parts) -> usize {
    let target = head.uri.path_and_query();
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    target.map_or(0, |target| target.as_str().len()) + fields.sum::<usize>()
}

async fn discard<B: Body<Data = Bytes> + Unpin>(mut slow: Slow, mut body: B) {
    while let Ok(Some(_)) = slow.next(&mut body).await {
        if slow.bytes as u64 > MAX_DISCARDED_BYTES {
            break;
        }
    }
}

/// A body that comes, if it comes fast enough.
struct Slow {
    start: Instant,
    end: Instant,
    bytes: usize,
}

impl Slow {
    fn new(timeout: Duration) -> Self {
        let start = Instant::now();
        Self {
            start,
            end: start + timeout,
            bytes: 0,
        }
    }

    /// The next data; `None` at the end.
    async fn next<B>(&mut self, body: &mut B) -> Result<Option<Bytes>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        loop {
            let due = PACE.due(self.start, self.bytes).min(self.end);
            let frame = timeout_at(due, body.frame())
                .await
                .map_err(|_| Problem::BodyTimeout)?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            // Trailers are of no interest.
            if let Ok(data) = frame.map_err(|_| Problem::BadBody)?.into_data() {
                self.bytes += data.len();
                return Ok(Some(data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use http::Request;
    use http_body::Frame;
    use http_body_util::Full;
    use tokio::time::Sleep;

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

    fn requests() -> Requests {
        Requests::new(TIMEOUT, Some(TOKEN))
    }

    fn client(number: u8) -> Client {
        Client::V4([192, 0, 2, number].into())
    }

    /// How long the body is that arrives.
    async fn take(head: &mut Parts, body: impl Into<Bytes>) -> Result<usize, Problem> {
        let body = Full::new(body.into());
        let received = requests().take(client(1), head, body).await?;
        Ok(received.bytes.len())
    }

    /// A body in pieces, each some time after the former. Then it ends or, unfinished, does not.
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
            (device as fn() -> Parts, MAX_DEVICE_BYTES),
            (operator, MAX_OPERATOR_BYTES),
        ] {
            for size in [0, 1, limit] {
                assert_eq!(take(&mut head(), vec![0; size]).await, Ok(size));
            }
            let too_long = take(&mut head(), vec![0; limit + 1]).await;
            assert_eq!(too_long, Err(Problem::BodyTooLarge));
            // The same without a length in the head.
            let body = pieces([(0, limit), (0, 1)]);
            let too_long = requests().take(client(1), &mut head(), body).await;
            assert_eq!(too_long.err(), Some(Problem::BodyTooLarge));
        }
    }

    #[test]
    fn only_what_the_component_reads_is_read() {
        let longest = |method, path, authorization: &[&str]| {
            requests().longest_body(&head(method, path, authorization))
        };
        let bearer = &[format!("bearer  {TOKEN}")];
        let bearer = &[bearer[0].as_str()][..];

        assert_eq!(longest(Method::POST, REGISTER, &[]), Some(MAX_DEVICE_BYTES));
        for (method, path) in [
            (Method::GET, REGISTER),
            (Method::PUT, REGISTER),
            (Method::POST, "/"),
            (Method::POST, "/healthz"),
            (Method::PUT, "/openapi.json"),
            (Method::POST, "/flashaccess/domainserver"),
            (Method::POST, "/Flashaccess/domainserver/d/register"),
        ] {
            assert_eq!(longest(method, path, bearer), None, "{path}");
        }

        let operators = Some(MAX_OPERATOR_BYTES);
        assert_eq!(longest(Method::PUT, DOMAIN, bearer), operators);
        assert_eq!(longest(Method::GET, DOMAIN, bearer), None);
        let others = format!("Bearer x{}", &TOKEN[1..]);
        for authorization in [&[][..], &["Bearer"], &["Bearer "], &[others.as_str()]] {
            assert_eq!(longest(Method::PUT, DOMAIN, authorization), None);
        }
        // The component refuses two; that is not for the gateway to say.
        let two = [bearer[0], "Basic x"];
        assert_eq!(longest(Method::PUT, DOMAIN, &two), operators);
    }

    #[test]
    fn without_a_token_nobody_is_an_operator() {
        for token in [None, Some(""), Some(" ")] {
            let requests = Requests::new(TIMEOUT, token);
            for authorization in ["Bearer ", "Bearer x", &format!("Bearer {TOKEN}")] {
                let head = head(Method::PUT, DOMAIN, &[authorization]);
                assert_eq!(requests.longest_body(&head), None, "{authorization}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_read_is_not_waited_for() {
        let mut head = head(Method::POST, "/nothing", &[]);
        head.headers.insert(CONTENT_LENGTH, 5.into());
        let start = Instant::now();
        let received = requests().take(client(1), &mut head, unfinished(1)).await;
        assert!(received.unwrap().bytes.is_empty());
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(!head.headers.contains_key(CONTENT_LENGTH));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_read_is_thrown_away() {
        let read_of = async |version, expects, mut body: Pieces| {
            let read = Arc::clone(&body.read);
            body.pieces.push_back((Duration::ZERO, 1));
            let mut head = head(Method::POST, "/nothing", &[]);
            head.version = version;
            if expects {
                head.headers
                    .insert(EXPECT, http::HeaderValue::from_static("100-continue"));
            }
            let _received = requests().take(client(1), &mut head, body).await;
            tokio::time::sleep(2 * TIMEOUT).await;
            read.load(Ordering::Relaxed)
        };
        let body = || pieces([(1, 100_000), (1, 100_000)]);
        assert_eq!(read_of(Version::HTTP_11, false, body()).await, 200_001);
        assert_eq!(read_of(Version::HTTP_11, true, body()).await, 0);
        assert_eq!(read_of(Version::HTTP_2, false, body()).await, 0);
        // Not for ever.
        let endless = pieces((0..1000).map(|_| (0, 1 << 20)));
        assert_eq!(read_of(Version::HTTP_11, false, endless).await, 17 << 20);
        let slow = pieces((0..1000).map(|_| (1, 2048)));
        assert!(read_of(Version::HTTP_11, false, slow).await <= 30 * 2048);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_given_up() {
        let start = Instant::now();
        let given_up = async |body| {
            let start = Instant::now();
            let taken = requests().take(client(1), &mut device(), body).await;
            assert_eq!(taken.err(), Some(Problem::BodyTimeout));
            start.elapsed().as_secs()
        };
        assert_eq!(given_up(unfinished(0)).await, 10);
        assert_eq!(given_up(unfinished(5 * 1024)).await, 15);
        assert_eq!(given_up(pieces((0..100).map(|_| (1, 1)))).await, 10);
        // Fast enough, but not done in time.
        assert_eq!(given_up(pieces((0..100).map(|_| (1, 1025)))).await, 30);
        assert!(start.elapsed() < Duration::from_secs(70));

        let body = pieces((0..20).map(|_| (1, 1024)));
        let received = requests().take(client(1), &mut device(), body).await;
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
        let taken = requests().take(client(1), &mut device(), Broken).await;
        assert_eq!(taken.err(), Some(Problem::BadBody));
    }

    #[tokio::test]
    async fn memory_is_taken_as_a_body_arrives_and_given_back() {
        let requests = Arc::new(requests());
        let body = unfinished(1000);
        let reading = tokio::spawn({
            let requests = Arc::clone(&requests);
            async move { requests.take(client(1), &mut device(), body).await }
        });
        while requests.memory.in_use() < 1000 {
            tokio::task::yield_now().await;
        }
        assert!(requests.memory.in_use() < 2000);
        reading.abort();
        assert!(reading.await.is_err());
        assert_eq!(requests.memory.in_use(), 0);

        let body = Full::new(Bytes::from(vec![0; 5000]));
        let received = requests.take(client(1), &mut device(), body).await;
        assert!(requests.memory.in_use() >= 5000);
        drop(received);
        assert_eq!(requests.memory.in_use(), 0);
    }

    #[tokio::test]
    async fn heads_take_memory_too() {
        let requests = requests();
        let mut head = head(Method::GET, "/healthz", &["x".repeat(1000).as_str()]);
        let received = requests.take(client(1), &mut head, Full::default()).await;
        assert!(requests.memory.in_use() >= 1000);
        drop(received);
    }

    #[tokio::test]
    async fn one_client_cannot_take_what_others_need() {
        let mut requests = requests();
        requests.memory = Pool::new(1 << 20, Share::WhatIsLeft);
        let body = || Full::new(Bytes::from(vec![0; 64 * 1024]));
        let mut held = Vec::new();
        let refused = loop {
            match requests.take(client(1), &mut device(), body()).await {
                Ok(received) => held.push(received),
                Err(problem) => break problem,
            }
        };
        assert_eq!(refused, Problem::Overloaded);
        let other = requests.take(client(2), &mut device(), body()).await;
        assert!(other.is_ok());
        held.truncate(held.len() / 2);
        let again = requests.take(client(1), &mut device(), body()).await;
        assert!(again.is_ok());
    }
}
