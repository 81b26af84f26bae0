//! Reads request bodies completely before the component sees them: a client that sends slowly
//! occupies a connection, but no instance.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Version,
    header::{CONTENT_LENGTH, EXPECT},
    request::Parts,
};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::{
    body_policy::BodyPolicy,
    min_rate::MinRate,
    pool::{Lease, Pool, Share},
    problem::Problem,
};
use crate::client::Client;

/// How much of an unwanted body is read and discarded, in bytes. A client that is still sending when
/// the connection closes may never see the response.
const MAX_DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

/// How much memory all requests may take that are being read or handled, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;

/// The memory for a header field besides its text, in bytes.
const FIELD_BYTES: usize = 128;

/// How fast a body must arrive.
const MIN_RATE: MinRate = MinRate {
    grace: Duration::from_secs(10),
    bytes_per_second: 1024,
};

/// Reads requests within limits of time and memory.
#[derive(Debug)]
pub(super) struct RequestReader {
    memory: Arc<Pool>,
    /// How long a whole body may take.
    timeout: Duration,
    policy: BodyPolicy,
}

/// A request's body, and the memory for the request.
#[derive(Debug)]
pub(super) struct Received {
    /// The body; empty if the component would not read it.
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

impl RequestReader {
    /// A whole body may take as long as `timeout`. Bodies of operators' requests need `admin_token`.
    pub(super) fn new(timeout: Duration, admin_token: Option<&str>) -> Self {
        Self {
            memory: Pool::new(MEMORY, Share::Remainder),
            timeout,
            policy: BodyPolicy::new(admin_token),
        }
    }

    /// Bodies of operators' requests need this `admin_token` from now on.
    pub(super) fn set_admin_token(&self, admin_token: Option<&str>) {
        self.policy.set(admin_token);
    }

    /// Reserves memory for a request's head, and reads its body if the component would read it. If
    /// not, the body is not waited for, and its length is removed from the head.
    ///
    /// # Errors
    ///
    /// [`Problem::BodyTooLarge`], [`Problem::BodyTimeout`] if it arrives too slowly,
    /// [`Problem::BadBody`] if it breaks off, [`Problem::Overloaded`] if other requests use all
    /// the memory.
    pub(super) async fn read<B>(
        &self,
        client: Client,
        head: &mut Parts,
        mut body: B,
    ) -> Result<Received, Problem>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let result = self.receive(client, head, &mut body).await;
        match result {
            // If the client sends nothing, or nonsense, nothing more is read.
            Err(Problem::BodyTimeout | Problem::BadBody) => {}
            _ => self.discard(head, body),
        }
        result
    }

    async fn receive<B>(
        &self,
        client: Client,
        head: &mut Parts,
        body: &mut B,
    ) -> Result<Received, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut lease = self.memory.lease(client);
        let reserve =
            |lease: &mut Lease, bytes| lease.grow_to(bytes).map_err(|_| Problem::Overloaded);
        let head_bytes = bytes_of(head);
        reserve(&mut lease, head_bytes)?;
        if body.is_end_stream() {
            return Ok(Received::new(Vec::new(), lease));
        }
        let Some(longest) = self.policy.longest_body(head) else {
            head.headers.remove(CONTENT_LENGTH);
            return Ok(Received::new(Vec::new(), lease));
        };
        if body.size_hint().lower() > longest as u64 {
            return Err(Problem::BodyTooLarge);
        }
        let mut timed = TimedBody::new(self.timeout);
        let mut bytes = Vec::new();
        while let Some(data) = timed.next(body).await? {
            let length = bytes.len() + data.len();
            if length > longest {
                return Err(Problem::BodyTooLarge);
            }
            if length > bytes.capacity() {
                let capacity = length.max(2 * bytes.capacity()).min(longest);
                reserve(&mut lease, head_bytes + capacity)?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Received::new(bytes, lease))
    }

    /// Discards a body that is not needed. In HTTP/2 a stream may end without it. In HTTP/1.1 it is
    /// read while the response is sent, unless its client waits for `100 Continue`.
    pub(super) fn discard<B>(&self, head: &Parts, body: B)
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
        let timed = TimedBody::new(self.timeout);
        tokio::spawn(discard(timed, body));
    }
}

/// The memory for a head, in bytes.
fn bytes_of(head: &Parts) -> usize {
    let target = head.uri.path_and_query();
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    target.map_or(0, |target| target.as_str().len()) + fields.sum::<usize>()
}

async fn discard<B: Body<Data = Bytes> + Unpin>(mut timed: TimedBody, mut body: B) {
    while let Ok(Some(_)) = timed.next(&mut body).await {
        if timed.bytes as u64 > MAX_DISCARDED_BYTES {
            break;
        }
    }
}

/// A body that must arrive fast enough.
struct TimedBody {
    start: Instant,
    end: Instant,
    bytes: usize,
}

impl TimedBody {
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
            let due = MIN_RATE.deadline(self.start, self.bytes).min(self.end);
            let frame = timeout_at(due, body.frame())
                .await
                .map_err(|_| Problem::BodyTimeout)?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            // Trailers are ignored.
            if let Ok(data) = frame.map_err(|_| Problem::BadBody)?.into_data() {
                self.bytes += data.len();
                return Ok(Some(data));
            }
        }
    }
}

#[cfg(test)]
mod tests;
