//! Answers on their way to the client: what they take up is counted until the last byte has left,
//! and a client that does not take one gets no more of it.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::Version;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::client::{Client, Lease, Pool, Share};
use super::connection::{Exchange, Progress};
use super::problem::Problem;

/// What answers that are being made or sent may take together, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;

/// What is kept for an answer that has not been made, in bytes: most are no longer.
const MIN_BYTES: usize = 16 * 1024;

/// The memory for answers.
#[derive(Clone, Debug)]
pub(super) struct Answers(Arc<Pool>);

impl Default for Answers {
    fn default() -> Self {
        Self(Pool::new(MEMORY, Share::WhatIsLeft))
    }
}

impl Answers {
    /// Takes memory for an answer that is to be made.
    ///
    /// # Errors
    ///
    /// [`Problem::Overloaded`] if answers that clients do not take have taken all of it.
    pub(super) fn begin(&self, client: Client) -> Result<Unsent, Problem> {
        let mut lease = self.0.lease(client);
        lease.grow_to(MIN_BYTES).map_err(|_| Problem::Overloaded)?;
        Ok(Unsent {
            bytes: Bytes::new(),
            lease: Some(lease),
        })
    }

    /// What all answers have taken.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.0.in_use()
    }
}

/// An answer's body before it is sent, and its memory.
#[derive(Debug)]
pub(super) struct Unsent {
    bytes: Bytes,
    lease: Option<Lease>,
}

/// An answer of the gateway's own: it is short.
impl From<Bytes> for Unsent {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, lease: None }
    }
}

impl Unsent {
    /// Takes the body in, and memory for it.
    ///
    /// # Errors
    ///
    /// [`Problem::Overloaded`] if other answers have taken all memory.
    pub(super) fn fill(mut self, bytes: Bytes) -> Result<Self, Problem> {
        if let Some(lease) = &mut self.lease {
            lease
                .grow_to(bytes.len())
                .map_err(|_| Problem::Overloaded)?;
        }
        self.bytes = bytes;
        Ok(self)
    }

    /// The body as the answer to a request of this version.
    pub(super) fn send(self, mut exchange: Exchange, version: Version) -> Answer {
        let progress = exchange.answered();
        let bytes = Some(self.bytes).filter(|bytes| !bytes.is_empty());
        Answer {
            waits: version >= Version::HTTP_2 && bytes.is_some(),
            bytes,
            held: Arc::new(Held {
                progress,
                _exchange: exchange,
                _lease: self.lease,
            }),
            due: None,
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub struct Answer {
    /// What has not been handed to the connection.
    bytes: Option<Bytes>,
    held: Arc<Held>,
    /// Whether the body ends only when its bytes have left. HTTP/2 sends them when the client lets
    /// it, in its own time. While the body has not ended, its stream can be reset.
    waits: bool,
    due: Option<Pin<Box<Sleep>>>,
}

/// The client did not take the answer in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client did not take the answer in time")]
pub struct NotTaken;

impl Body for Answer {
    type Data = Part;
    type Error = NotTaken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Part>, NotTaken>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(Part {
                bytes,
                held: Arc::clone(&this.held),
            }))));
        }
        if !this.waits || this.held.progress.poll_end(cx).is_ready() {
            this.waits = false;
            return Poll::Ready(None);
        }
        loop {
            let due = this.held.progress.due();
            let sleep = this
                .due
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            ready!(sleep.as_mut().poll(cx));
            // More may have left meanwhile.
            if this.held.progress.due() == due {
                tracing::debug!("a client did not take its answer");
                return Poll::Ready(Some(Err(NotTaken)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.waits
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// What is kept for an answer as long as any of it is there.
#[derive(Debug)]
struct Held {
    progress: Arc<Progress>,
    _exchange: Exchange,
    _lease: Option<Lease>,
}

/// Bytes that a connection is to send. It drops them when they have left.
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
        self.held.progress.take(bytes);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.held.progress.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    use crate::http::connection::tests::connection;

    fn answer(answers: &Answers, size: usize, version: Version) -> Answer {
        let connection = connection();
        let unsent = answers.begin(connection.client).unwrap();
        let unsent = unsent.fill(Bytes::from(vec![1; size])).unwrap();
        unsent.send(connection.begin(), version)
    }

    #[tokio::test]
    async fn an_answer_arrives_whole_and_ends() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            for size in [0, 1, 100_000] {
                let answers = Answers::default();
                let mut answer = answer(&answers, size, version);
                assert_eq!(answer.size_hint().exact(), Some(size as u64));
                assert_eq!(answer.is_end_stream(), size == 0);
                let mut length = 0;
                while let Some(part) = answer.frame().await {
                    length += part.unwrap().into_data().unwrap().remaining();
                }
                assert_eq!(length, size);
                assert!(answer.is_end_stream());
                drop(answer);
                assert_eq!(answers.in_use(), 0);
            }
        }
    }

    #[tokio::test]
    async fn memory_is_given_back_with_the_last_byte() {
        let answers = Answers::default();
        let mut answer = answer(&answers, 100_000, Version::HTTP_11);
        assert!(answers.in_use() >= 100_000);
        let part = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(answer.is_end_stream(), "head and body leave in one write");
        drop(answer);
        assert!(answers.in_use() >= 100_000);
        drop(part);
        assert_eq!(answers.in_use(), 0);
    }

    #[tokio::test]
    async fn one_client_cannot_take_what_others_need() {
        let answers = Answers(Pool::new(1 << 20, Share::WhatIsLeft));
        let client = |number: u8| Client::V4([192, 0, 2, number].into());
        let make = |number| {
            let unsent = answers.begin(client(number))?;
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
        assert_eq!(answers.in_use(), 0);
    }
}
