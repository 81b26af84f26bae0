//! What all requests of one schedule share: the store's cells, the clock, and where each request is.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::Poll,
};

#[cfg(doc)]
use anonymous_domains::knobs::Mutation;

use crate::{
    behaviour::Behaviour,
    cells::{Cells, Seen},
    random::{Digest, Random},
    view::Views,
};

/// When the simulated clock starts, in milliseconds since 1970.
pub const START_MS: i64 = 1_800_000_000_000;

/// A request's number in its schedule.
pub type TaskId = usize;

/// What a call to the store is, as far as faults are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Swap,
}

/// Where a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// It has not begun.
    Start,
    /// It is about to call the store: the next poll does the call.
    Call {
        kind: Kind,
        what: &'static str,
        key: Rc<str>,
    },
    /// It sleeps until then, in milliseconds since 1970.
    Sleep(i64),
    /// It runs, or has ended.
    Away,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing bad.
    None,
    /// It does nothing and fails.
    Refuse,
    /// It does its work, but its answer is lost.
    Lose,
    /// It fails, and does its work later or never.
    Delay,
    /// A swap that does nothing and is said to have found the row changed.
    RefuseAsFailed,
    /// A swap that writes and is said to have found the row changed.
    LoseAsFailed,
    /// A read that gives what the row was before.
    Stale,
}

/// A write whose caller has given up waiting.
#[derive(Debug, Clone)]
pub struct Delayed {
    pub task: TaskId,
    pub key: Rc<str>,
    /// `None` for a plain write.
    pub seen: Option<Seen>,
    pub value: Rc<[u8]>,
}

/// A key pair that was made, saved or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub domain: String,
    pub version: u32,
    /// Its name: no two key pairs have the same.
    pub identity: String,
}

/// What the world knows of a request.
#[derive(Debug)]
struct TaskState {
    at: At,
    random: Random,
    /// All that the request was answered so far: with what it is, that is its whole state.
    history: Digest,
    /// The row it has read to swap, for the state's digest.
    held: Option<(Rc<str>, Seen)>,
    calls: u32,
    made: u32,
}

/// The world of one schedule.
#[derive(Debug)]
pub struct World {
    pub cells: RefCell<Cells>,
    pub delayed: RefCell<Vec<Delayed>>,
    pub made: RefCell<Vec<Made>>,
    /// What domains looked like, by the store's digest, where the same is looked at again and again.
    pub views: Option<Rc<Views>>,
    /// Plain writes that wait for the next swap, where [`Mutation::RowsWrittenLate`] is at work.
    pub late: RefCell<Vec<(TaskId, String, Vec<u8>)>>,
    clock_ms: Cell<i64>,
    tasks: RefCell<Vec<TaskState>>,
    current: Cell<TaskId>,
    fault: Cell<Fault>,
    seed: u64,
    trace: Option<RefCell<Vec<String>>>,
}

impl World {
    pub fn new(behaviour: Behaviour, seed: u64, traced: bool) -> Rc<Self> {
        Rc::new(Self::blank(behaviour, seed, traced))
    }

    fn blank(behaviour: Behaviour, seed: u64, traced: bool) -> Self {
        Self {
            cells: RefCell::new(Cells::new(behaviour)),
            delayed: RefCell::default(),
            made: RefCell::default(),
            views: None,
            late: RefCell::default(),
            clock_ms: Cell::new(START_MS),
            tasks: RefCell::default(),
            current: Cell::new(0),
            fault: Cell::new(Fault::None),
            seed,
            trace: traced.then(RefCell::default),
        }
    }

    /// Another world that is as this one is while no request is under way.
    pub fn fork(&self, traced: bool, views: &Rc<Views>) -> Rc<Self> {
        let behaviour = self.cells.borrow().behaviour();
        let world = Rc::new(Self {
            views: Some(views.clone()),
            ..Self::blank(behaviour, self.seed, traced)
        });
        *world.cells.borrow_mut() = self.cells.borrow().clone();
        *world.made.borrow_mut() = self.made.borrow().clone();
        world.clock_ms.set(self.now_ms());
        for _ in 0..self.tasks.borrow().len() {
            world.add_task();
        }
        world
    }

    pub fn now_ms(&self) -> i64 {
        self.clock_ms.get()
    }

    pub fn advance_to(&self, ms: i64) {
        self.clock_ms.set(self.clock_ms.get().max(ms));
    }

    /// A new request. Its random numbers are its own, so that what it draws depends on nothing but
    /// what it was answered.
    pub fn add_task(&self) -> TaskId {
        let mut tasks = self.tasks.borrow_mut();
        let seed = self.seed ^ (tasks.len() as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
        tasks.push(TaskState {
            at: At::Start,
            random: Random::new(seed),
            history: Digest::default(),
            held: None,
            calls: 0,
            made: 0,
        });
        tasks.len() - 1
    }

    /// Says which request is polled next, and what its call meets.
    pub fn enter(&self, task: TaskId, fault: Fault) {
        self.current.set(task);
        self.fault.set(fault);
    }

    /// The request that is polled, or was polled last.
    pub fn current(&self) -> TaskId {
        self.current.get()
    }

    pub fn at(&self, task: TaskId) -> At {
        self.tasks.borrow()[task].at.clone()
    }

    /// How many calls a request has made.
    pub fn calls(&self, task: TaskId) -> u32 {
        self.tasks.borrow()[task].calls
    }

    /// The switch point before a call: returns when the scheduler lets the call happen, with what
    /// it meets.
    pub async fn call(&self, kind: Kind, what: &'static str, key: &str) -> Fault {
        self.pause(At::Call {
            kind,
            what,
            key: key.into(),
        })
        .await;
        self.tasks.borrow_mut()[self.current.get()].calls += 1;
        self.fault.replace(Fault::None)
    }

    /// Waits until the scheduler goes on with this request.
    pub async fn pause(&self, at: At) {
        let mut paused = Some(at);
        poll_fn(|_| {
            let state = &mut self.tasks.borrow_mut()[self.current.get()];
            match paused.take() {
                Some(at) => {
                    state.at = at;
                    Poll::Pending
                }
                None => {
                    state.at = At::Away;
                    Poll::Ready(())
                }
            }
        })
        .await;
    }

    /// Notes what a call was answered.
    pub fn answered(&self, answer: impl FnOnce(&mut Digest)) {
        answer(&mut self.tasks.borrow_mut()[self.current.get()].history);
    }

    /// Notes that the request holds a row to swap.
    pub fn holds(&self, key: &str, seen: &Seen) {
        self.tasks.borrow_mut()[self.current.get()].held = Some((key.into(), seen.clone()));
    }

    /// Random bytes of the request that runs.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.tasks.borrow_mut()[self.current.get()]
            .random
            .fill(bytes);
    }

    /// Notes that the request that runs makes a key pair, and names it.
    pub fn make(&self, domain: &str, version: u32) -> String {
        let task = self.current.get();
        let nth = {
            let state = &mut self.tasks.borrow_mut()[task];
            state.made += 1;
            state.made
        };
        let identity = format!("{domain}/{version}/task{task}/{nth}");
        self.made.borrow_mut().push(Made {
            domain: domain.to_owned(),
            version,
            identity: identity.clone(),
        });
        identity
    }

    /// A line of the trace, if there is one.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let ms = self.now_ms() - START_MS;
            trace.borrow_mut().push(format!("{ms:>7} ms  {}", line()));
        }
    }

    /// A line of the trace about the request that runs.
    pub fn trace_call(&self, line: impl FnOnce() -> String) {
        self.trace(|| format!("#{:<3} {}", self.current.get(), line()));
    }

    /// The lines so far.
    pub fn take_trace(&self) -> Vec<String> {
        self.trace
            .as_ref()
            .map(|trace| trace.take())
            .unwrap_or_default()
    }

    /// The state of the store and of the requests among `alive`.
    pub fn digest(&self, digest: &mut Digest, alive: impl Fn(TaskId) -> bool) {
        let cells = self.cells.borrow();
        digest.number(cells.digest());
        for key in self.made.borrow().iter() {
            digest.bytes(key.identity.as_bytes());
        }
        let is_current = |key: &str, seen: &Seen| cells.would_swap(key, seen);
        for delayed in self.delayed.borrow().iter() {
            digest.bytes(delayed.key.as_bytes());
            digest.bytes(&delayed.value);
            let seen = delayed.seen.as_ref();
            digest.number(seen.map_or(2, |seen| u64::from(is_current(&delayed.key, seen))));
        }
        for (id, task) in self.tasks.borrow().iter().enumerate() {
            if !alive(id) {
                digest.number(0);
                continue;
            }
            digest.number(1 + task.history.value());
            digest.number(u64::from(task.calls));
            let held = task.held.as_ref();
            digest.number(held.map_or(2, |(key, seen)| u64::from(is_current(key, seen))));
        }
    }
}
