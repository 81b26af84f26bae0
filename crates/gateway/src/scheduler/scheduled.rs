//! A guest's future, polled only while the guest has a core.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use tokio::sync::oneshot;

use super::{
    cores::{CorePermit, Scheduler, granted},
    queues::{Class, Rank},
};

/// A guest that computes only while it has a core.
#[must_use]
pub struct Scheduled<F> {
    scheduler: Scheduler,
    guest: Pin<Box<F>>,
    rank: Rank,
    state: State,
    watch: Arc<Watch>,
}

enum State {
    /// It has a core.
    Running(CorePermit),
    /// It can go on, and waits for a core.
    Queued(oneshot::Receiver<CorePermit>),
    /// It waits for something else.
    Blocked,
}

/// Forwards wake-ups, and remembers whether there was one.
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

impl Scheduler {
    /// Runs `guest` to its end, beginning on the core of `permit`.
    pub fn run<F: Future>(&self, permit: CorePermit, guest: F) -> Scheduled<F> {
        Scheduled {
            scheduler: self.clone(),
            guest: Box::pin(guest),
            rank: permit.rank,
            state: State::Running(permit),
            watch: Arc::new(Watch {
                was_woken: AtomicBool::new(false),
                task: Waker::noop().clone(),
            }),
        }
    }
}

impl<F> Scheduled<F> {
    /// Ready as soon as there is a core. Gives the time since when the guest has it.
    fn poll_core(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        loop {
            self.state = match &mut self.state {
                State::Running(permit) => return Poll::Ready(permit.start),
                State::Queued(waiting) => match Pin::new(waiting).poll(cx) {
                    Poll::Ready(permit) => {
                        let mut permit = granted(permit);
                        // The time until it was woken does not count.
                        permit.start = Instant::now();
                        State::Running(permit)
                    }
                    Poll::Pending => return Poll::Pending,
                },
                State::Blocked => match self.scheduler.request(self.rank) {
                    Ok(permit) => State::Running(permit),
                    Err(waiting) => State::Queued(waiting),
                },
            };
        }
    }
}

impl<F: Future> Future for Scheduled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let start = match this.poll_core(cx) {
            Poll::Ready(start) => start,
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
        // A guest that woke itself only yielded: it has more to compute.
        let has_more = poll.is_pending() && this.watch.was_woken.load(Ordering::Acquire);
        let slice_is_over = match this.rank.class {
            Class::Short => start.elapsed() >= this.scheduler.first_slice,
            Class::Long => true,
        };
        if has_more && slice_is_over {
            this.rank.class = Class::Long;
        }
        if !has_more || slice_is_over {
            this.state = State::Blocked;
        }
        poll
    }
}
