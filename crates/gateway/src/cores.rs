//! Who may compute: as many at a time as there are cores, first come, first served.
//!
//! A guest computes only while it holds a [`Turn`]. It keeps its turn until it waits for the host
//! (the store, a clock), and then lets the next one in; when it can go on, it queues again. So a
//! request that was begun is finished before a later one is begun, instead of sharing the cores
//! with all of them. A guest that computes for long, as the making of an RSA key does, goes to
//! the back of the queue after [`FIRST_SLICE`], and from then on after each [`SLICE`].

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// How long a guest may compute before it has to let others in. Longer than all but the making of
/// keys and the longest answers take, so that those are not interrupted.
const FIRST_SLICE: Duration = Duration::from_millis(10);

/// How long it may compute each time after that. A guest can only stop at the end of an epoch
/// ([`crate::engine`]), so this may become as much as one epoch more.
const SLICE: Duration = Duration::from_millis(2);

/// The cores on which guests compute. Clones share them.
#[derive(Clone)]
pub struct Cores {
    permits: Arc<Semaphore>,
    /// How long a guest's first turn may be, and each later one.
    slices: [Duration; 2],
}

/// The right to compute on one core, until it is dropped.
pub struct Turn {
    cores: Cores,
    _permit: OwnedSemaphorePermit,
}

/// Waits for a permit.
type Waiting = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl Cores {
    /// So many cores.
    pub fn new(count: usize) -> Self {
        Self::with_slices(count, [FIRST_SLICE, SLICE])
    }

    fn with_slices(count: usize, slices: [Duration; 2]) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(count)),
            slices,
        }
    }

    /// Waits for a turn. Whoever asked first gets it first.
    ///
    /// # Panics
    ///
    /// Never: the semaphore is not closed.
    pub async fn turn(&self) -> Turn {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        self.granted(permit)
    }

    fn granted(&self, permit: Result<OwnedSemaphorePermit, AcquireError>) -> Turn {
        Turn {
            cores: self.clone(),
            _permit: permit.expect("nobody closes the semaphore"),
        }
    }
}

impl Turn {
    /// Runs `guest` to its end, beginning with this turn.
    pub fn run<F: Future>(self, guest: F) -> Run<F> {
        let cores = self.cores.clone();
        Run {
            slice: cores.slices[0],
            cores,
            guest: Box::pin(guest),
            turn: Some((self, Instant::now())),
            waiting: None,
            watch: Arc::new(Watch {
                was_woken: AtomicBool::new(false),
                task: Waker::noop().clone(),
            }),
        }
    }
}

/// A guest that computes in turns.
#[must_use]
pub struct Run<F> {
    cores: Cores,
    guest: Pin<Box<F>>,
    /// The turn, while there is one, and when it began.
    turn: Option<(Turn, Instant)>,
    /// How long a turn may be.
    slice: Duration,
    /// The place in the queue, where it waits for a turn.
    waiting: Option<Waiting>,
    watch: Arc<Watch>,
}

/// Passes wake-ups on, and remembers that there were any.
struct Watch {
    was_woken: AtomicBool,
    task: Waker,
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.was_woken.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F> Run<F> {
    /// Ready as soon as there is a turn.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        if let Some((_, began)) = &self.turn {
            return Poll::Ready(*began);
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(Arc::clone(&self.cores.permits).acquire_owned()));
        let permit = match waiting.as_mut().poll(cx) {
            Poll::Ready(permit) => permit,
            Poll::Pending => return Poll::Pending,
        };
        self.waiting = None;
        let began = Instant::now();
        self.turn = Some((self.cores.granted(permit), began));
        Poll::Ready(began)
    }
}

impl<F: Future> Future for Run<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let began = match this.poll_turn(cx) {
            Poll::Ready(began) => began,
            Poll::Pending => return Poll::Pending,
        };
        if !this.watch.task.will_wake(cx.waker()) {
            this.watch = Arc::new(Watch {
                was_woken: AtomicBool::new(false),
                task: cx.waker().clone(),
            });
        }
        this.watch.was_woken.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&this.watch));
        let poll = this.guest.as_mut().poll(&mut Context::from_waker(&waker));
        // One that woke itself only stopped to let others look in: it has more to compute.
        let goes_on = poll.is_pending() && this.watch.was_woken.load(Ordering::Acquire);
        if !goes_on {
            this.turn = None;
        } else if began.elapsed() >= this.slice {
            this.turn = None;
            this.slice = this.cores.slices[1];
        }
        poll
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    /// Who computed, in order.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<&'static str>>>);

    impl Log {
        fn write(&self, who: &'static str) {
            self.0.lock().unwrap().push(who);
        }

        fn read(&self) -> Vec<&'static str> {
            self.0.lock().unwrap().clone()
        }
    }

    /// Cores whose turns are never over by themselves.
    fn patient(count: usize) -> Cores {
        Cores::with_slices(count, [Duration::MAX; 2])
    }

    /// A guest that computes in `steps`, and lets others look in after each.
    fn computes(cores: &Cores, log: &Log, who: &'static str, steps: usize) -> JoinHandle<()> {
        let (cores, log) = (cores.clone(), log.clone());
        tokio::spawn(async move {
            let guest = async {
                for _ in 0..steps {
                    log.write(who);
                    yields().await;
                }
            };
            cores.turn().await.run(guest).await;
        })
    }

    /// Wakes itself and stops, as a guest does at the end of an epoch.
    async fn yields() {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn those_who_came_first_are_done_first() {
        let (cores, log) = (patient(1), Log::default());
        for guest in ["a", "b", "c"].map(|who| computes(&cores, &log, who, 3)) {
            guest.await.unwrap();
        }
        assert_eq!(
            log.read(),
            ["a", "a", "a", "b", "b", "b", "c", "c", "c"],
            "they share the core"
        );
    }

    #[tokio::test]
    async fn a_guest_that_waits_lets_the_next_one_in_and_then_queues_again() {
        let (cores, log) = (patient(1), Log::default());
        let (answer, answered) = tokio::sync::oneshot::channel();
        let waits = {
            let (cores, log) = (cores.clone(), log.clone());
            tokio::spawn(async move {
                let guest = async {
                    log.write("asks");
                    let () = answered.await.unwrap();
                    log.write("goes on");
                };
                cores.turn().await.run(guest).await;
            })
        };
        computes(&cores, &log, "next", 1).await.unwrap();
        assert_eq!(log.read(), ["asks", "next"]);

        // It can go on, but somebody else has the core.
        let turn = cores.turn().await;
        answer.send(()).unwrap();
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(log.read(), ["asks", "next"]);
        drop(turn);
        waits.await.unwrap();
        assert_eq!(log.read(), ["asks", "next", "goes on"]);
    }

    #[tokio::test]
    async fn a_guest_that_computes_for_long_holds_nobody_up() {
        // Every turn is too long for the guest that is there.
        let cores = Cores::with_slices(1, [Duration::ZERO; 2]);
        let log = Log::default();
        let guests = [("long", 100), ("a", 1), ("b", 2)];
        for guest in guests.map(|(who, steps)| computes(&cores, &log, who, steps)) {
            guest.await.unwrap();
        }
        let all = log.read();
        assert_eq!(all[..6], ["long", "a", "b", "long", "b", "long"]);
        assert_eq!(all.iter().filter(|who| **who == "long").count(), 100);
    }

    #[tokio::test]
    async fn later_turns_have_a_length_of_their_own() {
        let (cores, log) = (
            Cores::with_slices(1, [Duration::ZERO, Duration::MAX]),
            Log::default(),
        );
        for guest in ["a", "b"].map(|who| computes(&cores, &log, who, 3)) {
            guest.await.unwrap();
        }
        assert_eq!(log.read(), ["a", "b", "a", "a", "b", "b"]);
    }

    #[tokio::test]
    async fn as_many_compute_at_a_time_as_there_are_cores() {
        let cores = patient(2);
        let turns = [cores.turn().await, cores.turn().await];
        let third = tokio::time::timeout(Duration::ZERO, cores.turn());
        assert!(third.await.is_err());
        drop(turns);
        drop(cores.turn().await);
    }

    #[tokio::test]
    async fn a_guest_that_is_given_up_gives_its_turn_back() {
        let cores = patient(1);
        let guest = cores.turn().await.run(async {
            loop {
                yields().await;
            }
        });
        let given_up = tokio::time::timeout(Duration::from_millis(1), guest);
        assert!(given_up.await.is_err());
        drop(cores.turn().await);
    }
}
