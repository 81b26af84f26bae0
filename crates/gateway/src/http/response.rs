//! Responses on their way to the client. Their memory is counted until the last byte was sent, and a
//! client that does not read its response gets no more of it.

use std::{
    io::IoSlice,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{Method, Response, Version, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::{
    connection::{Exchange, Progress},
    pool::{Lease, Pool, Share},
    problem::Problem,
};
use crate::client::Client;

/// How much memory all responses may take that are being made or sent, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;

/// How much memory is reserved for a response before it is made, in bytes: most are not longer.
const MIN_BYTES: usize = 16 * 1024;

/// The memory for responses.
#[derive(Clone, Debug)]
pub(super) struct ResponseMemory(Arc<Pool>);

impl Default for ResponseMemory {
    fn default() -> Self {
        Self(Pool::new(MEMORY, Share::Remainder))
    }
}

impl ResponseMemory {
    /// Reserves memory for a response that is to be made.
    ///
    /// # Errors
    ///
    /// [`Problem::Overloaded`] if responses that clients do not read use all of it.
    pub(super) fn reserve(&self, client: Client) -> Result<UnsentResponse, Problem> {
        let mut lease = self.0.lease(client);
        lease.grow_to(MIN_BYTES).map_err(|_| Problem::Overloaded)?;
        Ok(UnsentResponse {
            bytes: Bytes::new(),
            lease: Some(lease),
        })
    }

    /// How much all responses use.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.0.in_use()
    }
}

/// A response's body before it is sent, and its memory.
#[derive(Debug)]
pub(super) struct UnsentResponse {
    bytes: Bytes,
    lease: Option<Lease>,
}

/// The gateway's own responses are short, and are not counted.
impl From<Bytes> for UnsentResponse {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, lease: None }
    }
}

impl UnsentResponse {
    /// Takes the body, and reserves memory for it.
    ///
    /// # Errors
    ///
    /// [`Problem::Overloaded`] if other responses use all the memory.
    pub(super) fn fill(mut self, bytes: Bytes) -> Result<Self, Problem> {
        if let Some(lease) = &mut self.lease {
            lease
                .grow_to(bytes.len())
                .map_err(|_| Problem::Overloaded)?;
        }
        self.bytes = bytes;
        Ok(self)
    }

    /// The body as bytes, which keep its memory reserved until they are dropped.
    pub(super) fn into_bytes(self) -> Bytes {
        match self.lease {
            Some(lease) if !self.bytes.is_empty() => Bytes::from_owner(Leased {
                bytes: self.bytes,
                _lease: lease,
            }),
            _ => self.bytes,
        }
    }

    /// The body as the response to a request of this version.
    pub(super) fn send(self, mut exchange: Exchange, version: Version) -> ResponseBody {
        let progress = exchange.begin_response();
        let bytes = Some(self.bytes).filter(|bytes| !bytes.is_empty());
        ResponseBody {
            ends_when_sent: version >= Version::HTTP_2 && bytes.is_some(),
            bytes,
            held: Arc::new(Held {
                progress,
                _exchange: exchange,
                _lease: self.lease,
            }),
            deadline: None,
        }
    }
}

/// Bytes, and the memory for them.
struct Leased {
    bytes: Bytes,
    _lease: Lease,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct ResponseBody {
    /// What was not passed to the connection yet.
    bytes: Option<Bytes>,
    held: Arc<Held>,
    /// Whether the body ends only when its bytes were sent. In HTTP/2 the client decides when that
    /// is. While the body has not ended, its stream can be reset.
    ends_when_sent: bool,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    /// The bytes that were not passed to the connection yet: all, before it is sent.
    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.unwrap_or_default()
    }
}

/// The response to a request with this method: to HEAD without its body, but with its length (RFC 9110
/// section 9.3.2). hyper sends no body either with HTTP/1.1, but does with HTTP/2.
pub(super) fn head_only(response: Response<Bytes>, method: &Method) -> Response<Bytes> {
    let (mut parts, body) = response.into_parts();
    if *method != Method::HEAD || body.is_empty() {
        return Response::from_parts(parts, body);
    }
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    Response::from_parts(parts, Bytes::new())
}

/// The client did not read the response in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client did not take the answer in time")]
pub struct NotRead;

impl Body for ResponseBody {
    type Data = Part;
    type Error = NotRead;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Part>, NotRead>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(Part {
                bytes,
                held: Arc::clone(&this.held),
            }))));
        }
        if !this.ends_when_sent || this.held.progress.poll_end(cx).is_ready() {
            this.ends_when_sent = false;
            return Poll::Ready(None);
        }
        loop {
            let deadline = this.held.progress.deadline();
            let sleep = this
                .deadline
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
            ready!(sleep.as_mut().poll(cx));
            // More may have been sent in the meantime.
            if this.held.progress.deadline() == deadline {
                tracing::debug!("a client did not take its answer");
                return Poll::Ready(Some(Err(NotRead)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.ends_when_sent
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// What is held until no part of a response is left.
#[derive(Debug)]
struct Held {
    progress: Arc<Progress>,
    _exchange: Exchange,
    _lease: Option<Lease>,
}

/// Bytes that a connection is to send. It drops them when they were sent.
#[derive(Debug)]
pub struct Part {
    bytes: Bytes,
    held: Arc<Held>,
}

impl Buf for Part {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(to)
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
        self.held.progress.add(bytes);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.held.progress.end();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::http::connection::tests::connection;

    fn response(memory: &ResponseMemory, size: usize, version: Version) -> ResponseBody {
        let connection = connection();
        let unsent = memory.reserve(connection.client).unwrap();
        let unsent = unsent.fill(Bytes::from(vec![1; size])).unwrap();
        unsent.send(connection.begin(), version)
    }

    #[tokio::test]
    async fn a_response_arrives_whole_and_ends() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            for size in [0, 1, 100_000] {
                let memory = ResponseMemory::default();
                let mut response = response(&memory, size, version);
                assert_eq!(response.size_hint().exact(), Some(size as u64));
                assert_eq!(response.is_end_stream(), size == 0);
                let mut length = 0;
                while let Some(part) = response.frame().await {
                    length += part.unwrap().into_data().unwrap().remaining();
                }
                assert_eq!(length, size);
                assert!(response.is_end_stream());
                drop(response);
                assert_eq!(memory.in_use(), 0);
            }
        }
    }

    #[test]
    fn head_gets_the_length_alone() {
        for (method, length) in [(Method::HEAD, 0), (Method::GET, 3)] {
            let response = head_only(Response::new(Bytes::from("abc")), &method);
            assert_eq!(response.body().len(), length);
            let told = response.headers().get(CONTENT_LENGTH);
            assert_eq!(told.is_some_and(|told| told == "3"), method == Method::HEAD);
        }
    }

    #[tokio::test]
    async fn memory_is_given_back_with_the_last_byte() {
        let memory = ResponseMemory::default();
        let mut response = response(&memory, 100_000, Version::HTTP_11);
        assert!(memory.in_use() >= 100_000);
        let part = response
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert!(response.is_end_stream(), "head and body leave in one write");
        drop(response);
        assert!(memory.in_use() >= 100_000);
        drop(part);
        assert_eq!(memory.in_use(), 0);
    }

    #[test]
    fn bytes_keep_their_memory() {
        let memory = ResponseMemory::default();
        let reserve = || memory.reserve(connection().client).unwrap();
        let bytes = reserve().fill(Bytes::from(vec![1; 100_000])).unwrap();
        let bytes = bytes.into_bytes().slice(99_990..);
        assert_eq!(bytes, [1; 10][..]);
        assert!(memory.in_use() >= 100_000);
        drop(bytes);
        assert_eq!(memory.in_use(), 0);
        assert!(reserve().into_bytes().is_empty());
        assert_eq!(memory.in_use(), 0);
    }

    #[tokio::test]
    async fn one_client_cannot_take_what_others_need() {
        let memory = ResponseMemory(Pool::new(1 << 20, Share::Remainder));
        let client = |number: u8| Client::V4([192, 0, 2, number].into());
        let make = |number| {
            let unsent = memory.reserve(client(number))?;
            unsent.fill(Bytes::from(vec![0; 100_000]))
        };
        let mut held = Vec::new();
        let refused = loop {
            match make(1) {
                Ok(unsent) => held.push(unsent),
                Err(problem) => break problem,
            }
        };
        assert_eq!(refused, Problem::Overloaded);
        assert!(make(2).is_ok());
        held.clear();
        assert_eq!(memory.in_use(), 0);
    }
}
