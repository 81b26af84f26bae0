//! Takes request bodies in whole before the component sees them: a client that sends slowly
//! holds a connection, but no instance.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// The longest request body, in bytes: the component's own limit of 1 MiB, and a bit, so that it
/// is the component that refuses what is just too long.
const MAX_BODY_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// How much of a body that is too long is read, and thrown away, before it is refused. A client
/// that is still sending when the connection closes may never see the answer.
const MAX_DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

/// What bodies that are being read or handled may take together, in KiB.
const BUDGET_KIB: usize = 256 * 1024;

/// The memory for bodies.
#[derive(Clone)]
pub(super) struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB)))
    }
}

/// A body in memory, and its part of the budget.
pub(super) struct Collected {
    pub bytes: Bytes,
    _budget: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Reads a body to its end.
    ///
    /// # Errors
    ///
    /// [`Problem::BodyTooLarge`], [`Problem::BodyTimeout`] after `timeout`, [`Problem::BadBody`]
    /// if it breaks off, [`Problem::Overloaded`] if other bodies have taken all memory.
    pub(super) async fn collect<B>(
        &self,
        headers: &HeaderMap,
        body: B,
        timeout: Duration,
    ) -> Result<Collected, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if body.is_end_stream() {
            return Ok(Collected {
                bytes: Bytes::new(),
                _budget: None,
            });
        }
        let declared = body.size_hint().lower();
        // A client that waits for "100 Continue" has not begun to send, and need not.
        if declared > MAX_BODY_BYTES as u64
            && (headers.contains_key(EXPECT) || declared > MAX_DISCARDED_BYTES)
        {
            return Err(Problem::BodyTooLarge);
        }
        tokio::time::timeout(timeout, self.read(body))
            .await
            .unwrap_or(Err(Problem::BodyTimeout))
    }

    async fn read<B>(&self, mut body: B) -> Result<Collected, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut bytes = BytesMut::new();
        let mut budget = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Problem::BadBody)?.into_data() else {
                continue; // trailers
            };
            if bytes.len() + data.len() > MAX_BODY_BYTES {
                let read = (bytes.len() + data.len()) as u64;
                drop((bytes, budget));
                discard(body, read).await;
                return Err(Problem::BodyTooLarge);
            }
            self.grow(&mut budget, bytes.len() + data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(Collected {
            bytes: bytes.freeze(),
            _budget: budget,
        })
    }

    fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Problem> {
        let needed = bytes.div_ceil(1024);
        let missing = needed - held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if missing == 0 {
            return Ok(());
        }
        // `MAX_BODY_BYTES` bounds it.
        let missing = u32::try_from(missing).map_err(|_| Problem::BodyTooLarge)?;
        let more = Arc::clone(&self.0)
            .try_acquire_many_owned(missing)
            .map_err(|_| Problem::Overloaded)?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B, mut read: u64) {
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len) as u64;
        if read > MAX_DISCARDED_BYTES {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(10);

    async fn collect(size: usize) -> Result<usize, Problem> {
        let body = Full::new(Bytes::from(vec![0; size]));
        let budget = Budget::default();
        let headers = HeaderMap::new();
        let collected = budget.collect(&headers, body, LONG).await;
        collected.map(|collected| collected.bytes.len())
    }

    #[tokio::test]
    async fn the_limit_is_exact() {
        assert_eq!(collect(0).await, Ok(0));
        assert_eq!(collect(MAX_BODY_BYTES).await, Ok(MAX_BODY_BYTES));
        assert_eq!(
            collect(MAX_BODY_BYTES + 1).await,
            Err(Problem::BodyTooLarge)
        );
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let budget = Budget::default();
        let headers = HeaderMap::new();
        let collected = budget.collect(&headers, Silent, SHORT);
        assert_eq!(collected.await.err(), Some(Problem::BodyTimeout));
    }

    #[tokio::test]
    async fn the_budget_is_given_back() {
        let budget = Budget(Arc::new(Semaphore::new(2)));
        let headers = HeaderMap::new();
        let body = |size| Full::new(Bytes::from(vec![0; size]));
        let held = budget.collect(&headers, body(1025), LONG).await;
        assert_eq!(
            budget.collect(&headers, body(1), LONG).await.err(),
            Some(Problem::Overloaded)
        );
        drop(held);
        assert!(budget.collect(&headers, body(2048), LONG).await.is_ok());
    }

    /// A body whose sender has gone silent.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
}
