//! What a connection is doing: whether a request is being handled, and whether its client takes
//! the answers. [`serve`](super::serve) asks, and closes a connection that stands still.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::pace::Pace;

/// How fast a client must take an answer.
pub(super) const ANSWER_PACE: Pace = Pace {
    grace: Duration::from_secs(30),
    bytes_per_second: 16 * 1024,
};

/// How long after it is due an answer may still be there: an HTTP/2 stream is reset before its
/// whole connection has to go.
const OVERDUE: Duration = Duration::from_secs(5);

/// How long a connection may have no request: before the first, and between two.
const IDLE: Duration = Duration::from_secs(60);

/// How long an idle connection may take to close in order.
const CLOSING: Duration = Duration::from_secs(10);

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// The address that the client reached.
    pub(super) local: SocketAddr,
    /// Whose connection it is.
    pub(super) client: Client,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose answers are not made or not sent.
    requests: usize,
    /// When there last was one.
    idle_since: Instant,
    /// The answers that are not sent.
    answers: Vec<Arc<Progress>>,
}

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// It had no request for long and should end.
    Idle,
    /// It must be closed: an answer is not taken, or it did not end although it is idle.
    Stuck,
}

impl Connection {
    /// A connection that was made just now, between `local` and `remote`. `number` is no other
    /// open connection's.
    pub(super) fn new(local: SocketAddr, remote: IpAddr, number: u64) -> Arc<Self> {
        Arc::new(Self {
            local,
            client: Client::of_connection(remote, number),
            state: Mutex::new(State {
                requests: 0,
                idle_since: Instant::now(),
                answers: Vec::new(),
            }),
        })
    }

    /// Counts a request until what this returns is dropped.
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
            .answers
            .iter()
            .any(|answer| now >= answer.due() + OVERDUE)
        {
            return Verdict::Stuck;
        }
        match now.saturating_duration_since(state.idle_since) {
            _ if state.requests > 0 => Verdict::Fine,
            idle if idle >= IDLE + CLOSING => Verdict::Stuck,
            idle if idle >= IDLE => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request, from its head to the last byte of its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    connection: Arc<Connection>,
    progress: Option<Arc<Progress>>,
}

impl Exchange {
    /// From now on the client must take the answer.
    pub(super) fn answered(&mut self) -> Arc<Progress> {
        let progress = Arc::new(Progress {
            made: Instant::now(),
            taken: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        self.connection.state().answers.push(Arc::clone(&progress));
        self.progress = Some(Arc::clone(&progress));
        progress
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        if let Some(progress) = &self.progress {
            state
                .answers
                .retain(|answer| !Arc::ptr_eq(answer, progress));
        }
        state.requests -= 1;
        state.idle_since = Instant::now();
    }
}

/// How much of an answer its client has taken.
#[derive(Debug)]
pub(super) struct Progress {
    made: Instant,
    taken: AtomicUsize,
    gone: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Progress {
    /// When the next byte must be taken.
    pub(super) fn due(&self) -> Instant {
        ANSWER_PACE.due(self.made, self.taken.load(Ordering::Relaxed))
    }

    /// Counts bytes that left.
    pub(super) fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says that no byte is left, or will ever leave.
    pub(super) fn end(&self) {
        self.gone.store(true, Ordering::Release);
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready when no byte is left.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        // The waker first: the end may come in between.
        *self.waker() = Some(cx.waker().clone());
        if self.gone.load(Ordering::Acquire) {
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
        Connection::new(([127, 0, 0, 1], 3000).into(), [127, 0, 0, 1].into(), 0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_to_end_and_then_closed() {
        let connection = connection();
        let start = Instant::now();
        let verdict = |seconds| connection.verdict(start + Duration::from_secs(seconds));
        assert_eq!(verdict(59), Verdict::Fine);
        assert_eq!(verdict(60), Verdict::Idle);
        assert_eq!(verdict(70), Verdict::Stuck);

        let exchange = connection.begin();
        assert_eq!(verdict(1000), Verdict::Fine, "a request is being handled");
        tokio::time::advance(Duration::from_secs(100)).await;
        drop(exchange);
        assert_eq!(verdict(159), Verdict::Fine);
        assert_eq!(verdict(160), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_must_be_taken_at_some_speed() {
        let connection = connection();
        let mut exchange = connection.begin();
        let start = Instant::now();
        let progress = exchange.answered();
        let verdict = |seconds| connection.verdict(start + Duration::from_secs(seconds));
        assert_eq!(verdict(34), Verdict::Fine);
        assert_eq!(verdict(35), Verdict::Stuck);
        progress.take(10 * 16 * 1024);
        assert_eq!(verdict(44), Verdict::Fine);
        assert_eq!(verdict(45), Verdict::Stuck);
        drop(exchange);
        assert_eq!(verdict(45), Verdict::Fine);
    }
}
