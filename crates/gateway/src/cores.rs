//! Who may compute: as many at a time as there are cores, first come, first served.
//!
//! A guest computes only while it holds a [`Turn`]. It keeps its turn until it waits for the host
//! (the store, a clock), and then lets the next one in; when it can go on, it queues again. So a
//! request that was begun is finished before a later one is begun, instead of sharing the cores
//! with all of them.
//!
//! A guest that computes for longer than [`FIRST_SLICE`], as the making of an RSA key does, goes to
//! another queue, whose turns end with each epoch ([`crate::engine`]). As long as there is somebody
//! in either, that queue gets a quarter of the time: those that compute for long neither hold the
//! others up nor are kept from ending.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How long a guest may compute before it counts as one that computes for long. More than all but
/// the making of keys and the longest answers take.
const FIRST_SLICE: Duration = Duration::from_millis(10);

/// How many times the time of guests that compute for long the others get, where both wait.
const SHARE: u32 = 3;

/// The cores on which guests compute. Clones share them.
#[derive(Clone)]
pub struct Cores {
    queues: Arc<Mutex<Queues>>,
    first_slice: Duration,
}

/// The right to compute on one core, until it is dropped.
pub struct Turn {
    /// `None` where nobody took it.
    cores: Option<Cores>,
    kind: Kind,
    began: Instant,
}

/// What a guest counts as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Short,
    Long,
}

/// Those that wait, and what they are owed.
struct Queues {
    /// Cores that nobody computes on. Nobody waits while there is one.
    free: usize,
    short: Queue,
    long: Queue,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// The time that was had, divided by the share. Of two queues the one that has had less is
    /// next.
    had: Duration,
}

impl Queues {
    fn of(&mut self, kind: Kind) -> (&mut Queue, &Queue) {
        match kind {
            Kind::Short => (&mut self.short, &self.long),
            Kind::Long => (&mut self.long, &self.short),
        }
    }

    /// Joins a queue.
    fn wait(&mut self, kind: Kind) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let (queue, other) = self.of(kind);
        if queue.waiting.is_empty() {
            // Nothing is owed for a time when nobody waited.
            queue.had = queue.had.max(other.had);
        }
        queue.waiting.push_back(sender);
        receiver
    }

    /// Notes that somebody has computed for so long.
    fn charge(&mut self, kind: Kind, time: Duration) {
        let share = match kind {
            Kind::Short => SHARE,
            Kind::Long => 1,
        };
        self.of(kind).0.had += time / share;
    }

    /// Takes out who is next.
    fn next(&mut self) -> Option<(Kind, oneshot::Sender<Turn>)> {
        let kind = match (self.short.waiting.is_empty(), self.long.waiting.is_empty()) {
            (false, false) if self.long.had < self.short.had => Kind::Long,
            (true, _) => Kind::Long,
            (false, _) => Kind::Short,
        };
        let next = self.of(kind).0.waiting.pop_front();
        next.map(|next| (kind, next))
    }
}

impl Cores {
    /// So many cores.
    pub fn new(count: usize) -> Self {
        Self::with_first_slice(count, FIRST_SLICE)
    }

    fn with_first_slice(count: usize, first_slice: Duration) -> Self {
        Self {
            queues: Arc::new(Mutex::new(Queues {
                free: count,
                short: Queue::default(),
                long: Queue::default(),
            })),
            first_slice,
        }
    }

    /// Waits for a turn. Whoever asked first gets it first.
    pub async fn turn(&self) -> Turn {
        match self.ask(Kind::Short) {
            Ok(turn) => turn,
            Err(waiting) => granted(waiting.await),
        }
    }

    /// Runs `guest` to its end, beginning with a turn that it has.
    pub fn run<F: Future>(&self, turn: Turn, guest: F) -> Run<F> {
        Run {
            cores: self.clone(),
            guest: Box::pin(guest),
            kind: turn.kind,
            state: State::Has(turn),
            watch: Arc::new(Watch {
                was_woken: AtomicBool::new(false),
                task: Waker::noop().clone(),
            }),
        }
    }

    /// A turn, or a place in the queue.
    fn ask(&self, kind: Kind) -> Result<Turn, oneshot::Receiver<Turn>> {
        let mut queues = self.lock();
        if queues.free == 0 {
            return Err(queues.wait(kind));
        }
        queues.free -= 1;
        Ok(self.begin(kind))
    }

    fn begin(&self, kind: Kind) -> Turn {
        Turn {
            cores: Some(self.clone()),
            kind,
            began: Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a core to whoever is next.
    fn pass_on(&self) {
        loop {
            let mut queues = self.lock();
            let Some((kind, next)) = queues.next() else {
                queues.free += 1;
                return;
            };
            drop(queues);
            match next.send(self.begin(kind)) {
                Ok(()) => return,
                // That one does not wait any more.
                Err(mut turn) => turn.cores = None,
            }
        }
    }
}

/// The turn that was waited for. Its sender is only dropped once it was used.
fn granted(turn: Result<Turn, oneshot::error::RecvError>) -> Turn {
    turn.expect("whoever waits gets a turn")
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(cores) = self.cores.take() {
            cores.lock().charge(self.kind, self.began.elapsed());
            cores.pass_on();
        }
    }
}

/// A guest that computes in turns.
#[must_use]
pub struct Run<F> {
    cores: Cores,
    guest: Pin<Box<F>>,
    kind: Kind,
    state: State,
    watch: Arc<Watch>,
}

enum State {
    /// It has its turn.
    Has(Turn),
    /// It can go on, and waits for a turn.
    Waits(oneshot::Receiver<Turn>),
    /// It waits for something else.
    Rests,
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
    /// Ready as soon as there is a turn. Gives when it began.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        loop {
            self.state = match &mut self.state {
                State::Has(turn) => return Poll::Ready(turn.began),
                State::Waits(waiting) => match Pin::new(waiting).poll(cx) {
                    Poll::Ready(turn) => {
                        let mut turn = granted(turn);
                        // What it took to be woken is not its own.
                        turn.began = Instant::now();
                        State::Has(turn)
                    }
                    Poll::Pending => return Poll::Pending,
                },
                State::Rests => match self.cores.ask(self.kind) {
                    Ok(turn) => State::Has(turn),
                    Err(waiting) => State::Waits(waiting),
                },
            };
        }
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
        let is_over = match this.kind {
            Kind::Short => began.elapsed() >= this.cores.first_slice,
            Kind::Long => true,
        };
        if goes_on && is_over {
            this.kind = Kind::Long;
        }
        if !goes_on || is_over {
            this.state = State::Rests;
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
        Cores::with_first_slice(count, Duration::MAX)
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
            cores.run(cores.turn().await, guest).await;
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
                cores.run(cores.turn().await, guest).await;
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
        let cores = Cores::with_first_slice(1, Duration::ZERO);
        let log = Log::default();
        let guests = [("long", 100), ("a", 1), ("b", 2)];
        for guest in guests.map(|(who, steps)| computes(&cores, &log, who, steps)) {
            guest.await.unwrap();
        }
        let all = log.read();
        assert_eq!(all[..6], ["long", "a", "b", "long", "b", "long"]);
        assert_eq!(all.iter().filter(|who| **who == "long").count(), 100);
    }

    #[test]
    fn both_queues_get_their_share() {
        let mut queues = Queues {
            free: 0,
            short: Queue::default(),
            long: Queue::default(),
        };
        let slice = Duration::from_millis(6);
        let mut had = Vec::new();
        let waiting: Vec<_> = [Kind::Long, Kind::Short]
            .into_iter()
            .flat_map(|kind| [kind; 40])
            .map(|kind| queues.wait(kind))
            .collect();
        for _ in 0..40 {
            let (kind, _) = queues.next().expect("somebody waits");
            queues.charge(kind, slice);
            had.push(kind);
        }
        // Who computes for a short time comes first, and three times as often.
        assert_eq!(
            had[..4],
            [Kind::Short, Kind::Long, Kind::Short, Kind::Short]
        );
        let long = had.iter().filter(|kind| **kind == Kind::Long).count();
        assert_eq!(long, 10);
        drop(waiting);

        // Where only one kind waits it has all the time, and the other one is owed nothing for it.
        for _ in 0..10 {
            assert_eq!(queues.next().expect("somebody waits").0, Kind::Short);
        }
        queues.short.waiting.clear();
        for _ in 0..20 {
            let (kind, _) = queues.next().expect("somebody waits");
            queues.charge(kind, slice);
        }
        let _short = [(); 9].map(|()| queues.wait(Kind::Short));
        let next = [(); 4].map(|()| {
            let (kind, _) = queues.next().expect("somebody waits");
            queues.charge(kind, slice);
            kind
        });
        assert_eq!(next, [Kind::Short, Kind::Long, Kind::Short, Kind::Short]);
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_is_passed_over() {
        let cores = patient(1);
        let turn = cores.turn().await;
        let gone = cores.ask(Kind::Short).err().expect("there is no core");
        let given_up_later = cores.ask(Kind::Short).err().expect("there is no core");
        let patient = cores.ask(Kind::Short).err().expect("there is no core");
        drop(gone);
        drop(turn);
        // It was given the turn, and never looked.
        drop(given_up_later);
        drop(patient.await.expect("a turn"));
        assert!(cores.ask(Kind::Long).is_ok());
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
        let guest = cores.run(cores.turn().await, async {
            loop {
                yields().await;
            }
        });
        let given_up = tokio::time::timeout(Duration::from_millis(1), guest);
        assert!(given_up.await.is_err());
        drop(cores.turn().await);
    }
}
