//! The state of a connection: whether a request is being handled, and whether its client reads the
//! responses. The task that drives it checks this, and closes a connection without progress.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::min_rate::MinRate;
use crate::client::Client;

/// How fast a client must read a response.
pub(super) const RESPONSE_RATE: MinRate = MinRate {
    grace: Duration::from_secs(30),
    bytes_per_second: 16 * 1024,
};

/// How long after its deadline a response may still be there: an HTTP/2 stream is reset before its
/// whole connection is closed.
const OVERDUE: Duration = Duration::from_secs(5);

/// How long a connection may have no request: before the first one, and between two.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// How long an idle connection may take to close gracefully.
const MAX_CLOSING: Duration = Duration::from_secs(10);

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// The address that the client reached.
    pub(super) local: SocketAddr,
    /// The address that it came from.
    pub(super) remote: IpAddr,
    /// The client, for limits.
    pub(super) client: Client,
    /// Whether it is a TLS connection.
    pub(super) is_tls: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose responses are not made or not sent.
    requests: usize,
    /// When there last was one.
    idle_since: Instant,
    /// The responses that are not sent.
    responses: Vec<Arc<Progress>>,
}

/// The result of a check of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It makes progress.
    Active,
    /// It had no request for long, and should end.
    Idle,
    /// It must be closed: a response is not read, or it was idle and did not end.
    Stuck,
}

impl Connection {
    /// A new connection between `local` and `remote`. No other open connection has this `number`.
    pub(super) fn new(local: SocketAddr, remote: IpAddr, number: u64, is_tls: bool) -> Arc<Self> {
        Arc::new(Self {
            local,
            remote,
            client: Client::of_connection(remote, number),
            is_tls,
            state: Mutex::new(State {
                requests: 0,
                idle_since: Instant::now(),
                responses: Vec::new(),
            }),
        })
    }

    /// Counts a request until the exchange is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.state().requests += 1;
        Exchange {
            connection: Arc::clone(self),
            progress: None,
        }
    }

    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let state = self.state();
        if state
            .responses
            .iter()
            .any(|response| now >= response.deadline() + OVERDUE)
        {
            return Verdict::Stuck;
        }
        match now.saturating_duration_since(state.idle_since) {
            _ if state.requests > 0 => Verdict::Active,
            idle if idle >= MAX_IDLE + MAX_CLOSING => Verdict::Stuck,
            idle if idle >= MAX_IDLE => Verdict::Idle,
            _ => Verdict::Active,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request, from its head to the last byte of its response.
#[derive(Debug)]
pub(super) struct Exchange {
    connection: Arc<Connection>,
    progress: Option<Arc<Progress>>,
}

impl Exchange {
    /// From now on the client must read the response.
    pub(super) fn begin_response(&mut self) -> Arc<Progress> {
        let progress = Arc::new(Progress {
            start: Instant::now(),
            sent: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        self.connection
            .state()
            .responses
            .push(Arc::clone(&progress));
        self.progress = Some(Arc::clone(&progress));
        progress
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        if let Some(progress) = &self.progress {
            state
                .responses
                .retain(|response| !Arc::ptr_eq(response, progress));
        }
        state.requests -= 1;
        state.idle_since = Instant::now();
    }
}

/// How much of a response was sent.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    sent: AtomicUsize,
    ended: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Progress {
    /// By when the next byte must be sent.
    pub(super) fn deadline(&self) -> Instant {
        RESPONSE_RATE.deadline(self.start, self.sent.load(Ordering::Relaxed))
    }

    /// Counts bytes that were sent.
    pub(super) fn add(&self, bytes: usize) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Marks the end: all bytes were sent, or no more will be.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready at the end.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        // The waker comes first: the end may come in between.
        *self.waker() = Some(cx.waker().clone());
        if self.ended.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A connection from this machine.
    pub(in crate::http) fn connection() -> Arc<Connection> {
        let (local, remote) = (([127, 0, 0, 1], 3000), [127, 0, 0, 1]);
        Connection::new(local.into(), remote.into(), 0, false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_should_end_and_then_is_closed() {
        let connection = connection();
        let start = Instant::now();
        let verdict = |seconds| connection.verdict(start + Duration::from_secs(seconds));
        assert_eq!(verdict(59), Verdict::Active);
        assert_eq!(verdict(60), Verdict::Idle);
        assert_eq!(verdict(70), Verdict::Stuck);

        let exchange = connection.begin();
        assert_eq!(verdict(1000), Verdict::Active, "a request is being handled");
        tokio::time::advance(Duration::from_secs(100)).await;
        drop(exchange);
        assert_eq!(verdict(159), Verdict::Active);
        assert_eq!(verdict(160), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_must_be_read_at_some_speed() {
        let connection = connection();
        let mut exchange = connection.begin();
        let start = Instant::now();
        let progress = exchange.begin_response();
        let verdict = |seconds| connection.verdict(start + Duration::from_secs(seconds));
        assert_eq!(verdict(34), Verdict::Active);
        assert_eq!(verdict(35), Verdict::Stuck);
        progress.add(10 * 16 * 1024);
        assert_eq!(verdict(44), Verdict::Active);
        assert_eq!(verdict(45), Verdict::Stuck);
        drop(exchange);
        assert_eq!(verdict(45), Verdict::Active);
    }
}
