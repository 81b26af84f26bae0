//! The cores, and the right to compute on one.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::queues::{Class, Queues, Rank};
use crate::client::Client;

/// How long a guest may compute before it counts as long: more than all requests take, except for
/// making keys and for the longest answers.
const FIRST_SLICE: Duration = Duration::from_millis(10);

/// The cores on which guests compute. Clones share them.
#[derive(Clone)]
pub struct Scheduler {
    queues: Arc<Mutex<Queues<oneshot::Sender<CorePermit>>>>,
    /// How many requests have come.
    requests: Arc<AtomicU64>,
    pub(super) first_slice: Duration,
}

/// The right to compute on one core, until it is dropped.
pub struct CorePermit {
    /// `None` if nobody received it.
    scheduler: Option<Scheduler>,
    pub(super) rank: Rank,
    pub(super) start: Instant,
}

impl Scheduler {
    /// A scheduler for this many cores.
    pub fn new(cores: usize) -> Self {
        Self::with_first_slice(cores, FIRST_SLICE)
    }

    pub(super) fn with_first_slice(cores: usize, first_slice: Duration) -> Self {
        Self {
            queues: Arc::new(Mutex::new(Queues::new(cores))),
            requests: Arc::default(),
            first_slice,
        }
    }

    /// Waits for a core for a new request of `client`. Requests get one in the order in which they
    /// ask.
    pub(crate) async fn acquire(&self, client: Client) -> CorePermit {
        let rank = Rank {
            class: Class::Short,
            client,
            number: self.requests.fetch_add(1, Ordering::Relaxed),
        };
        match self.request(rank) {
            Ok(permit) => permit,
            Err(waiting) => granted(waiting.await),
        }
    }

    /// A core, or a place in the queue.
    pub(super) fn request(&self, rank: Rank) -> Result<CorePermit, oneshot::Receiver<CorePermit>> {
        let mut queues = self.lock();
        if queues.free == 0 {
            let (sender, waiting) = oneshot::channel();
            queues.push(rank, sender);
            return Err(waiting);
        }
        queues.free -= 1;
        Ok(self.permit(rank))
    }

    fn permit(&self, rank: Rank) -> CorePermit {
        CorePermit {
            scheduler: Some(self.clone()),
            rank,
            start: Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues<oneshot::Sender<CorePermit>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a core to the guest that is next.
    fn release(&self) {
        loop {
            let mut queues = self.lock();
            let Some((rank, next)) = queues.pop(Instant::now()) else {
                queues.free += 1;
                return;
            };
            drop(queues);
            match next.send(self.permit(rank)) {
                Ok(()) => return,
                // That guest does not wait any more.
                Err(mut permit) => permit.scheduler = None,
            }
        }
    }
}

/// The permit that was waited for. Its sender is dropped only after it was used.
pub(super) fn granted(permit: Result<CorePermit, oneshot::error::RecvError>) -> CorePermit {
    permit.expect("every queued guest gets a core")
}

impl Drop for CorePermit {
    fn drop(&mut self) {
        if let Some(scheduler) = self.scheduler.take() {
            let now = Instant::now();
            let time = now.saturating_duration_since(self.start);
            scheduler.lock().charge(self.rank, time, now);
            scheduler.release();
        }
    }
}
