//! What all requests of one schedule share: the host, chance, and where each request is.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::Poll,
};

use crate::{
    behaviour::Behaviour,
    call::{Answer, Call},
    host::{Host, Made, START_MS, TaskId},
    random::Random,
};

/// Where a request is.
#[derive(Debug, Clone)]
pub enum At {
    /// It has not begun.
    Start,
    /// It calls the store.
    Call(Rc<Call>),
    /// It sleeps until then, in milliseconds since 1970.
    Sleep(i64),
    /// It runs, or has ended.
    Away,
}

/// What the world knows of a request.
#[derive(Debug)]
struct TaskState {
    at: At,
    /// What its call was answered.
    answer: Option<Answer>,
    random: Random,
    calls: u32,
    made: u32,
}

/// The world of one schedule.
#[derive(Debug)]
pub struct World {
    pub host: RefCell<Host>,
    /// Whether makers of keys fail now and then.
    pub makers_fail: Cell<bool>,
    tasks: RefCell<Vec<TaskState>>,
    current: Cell<TaskId>,
    seed: u64,
    trace: Option<RefCell<Vec<String>>>,
}

impl World {
    /// A world after so many requests of which none is under way.
    pub fn new(host: Host, requests: usize, seed: u64, traced: bool) -> Rc<Self> {
        let world = Self {
            host: RefCell::new(host),
            makers_fail: Cell::new(false),
            tasks: RefCell::default(),
            current: Cell::new(0),
            seed,
            trace: traced.then(RefCell::default),
        };
        for _ in 0..requests {
            world.add_task();
        }
        Rc::new(world)
    }

    pub fn behaviour(&self) -> Behaviour {
        self.host.borrow().behaviour()
    }

    pub fn now_ms(&self) -> i64 {
        self.host.borrow().now_ms
    }

    pub fn advance_to(&self, ms: i64) {
        let now_ms = &mut self.host.borrow_mut().now_ms;
        *now_ms = ms.max(*now_ms);
    }

    /// A new request. Its random numbers are its own, so that what it draws depends on nothing but
    /// what it was answered.
    pub fn add_task(&self) -> TaskId {
        let mut tasks = self.tasks.borrow_mut();
        let seed = self.seed ^ (tasks.len() as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
        tasks.push(TaskState {
            at: At::Start,
            answer: None,
            random: Random::new(seed),
            calls: 0,
            made: 0,
        });
        tasks.len() - 1
    }

    /// Says which request runs next, and what it was answered.
    pub fn enter(&self, task: TaskId, answer: Answer) {
        self.current.set(task);
        let state = &mut self.tasks.borrow_mut()[task];
        if matches!(state.at, At::Call(_)) {
            state.calls += 1;
        }
        state.at = At::Away;
        state.answer = Some(answer);
    }

    pub fn at(&self, task: TaskId) -> At {
        self.tasks.borrow()[task].at.clone()
    }

    /// How many calls a request has made.
    pub fn calls(&self, task: TaskId) -> u32 {
        self.tasks.borrow()[task].calls
    }

    /// Calls the host: returns when the scheduler has let it answer.
    pub async fn call(&self, call: Call) -> Answer {
        self.pause(At::Call(Rc::new(call))).await;
        let answer = self.tasks.borrow_mut()[self.current.get()].answer.take();
        answer.unwrap_or(Answer::Error("there is no answer"))
    }

    /// Waits until the scheduler goes on with this request.
    pub async fn pause(&self, at: At) {
        let mut paused = Some(at);
        poll_fn(|_| match paused.take() {
            Some(at) => {
                self.tasks.borrow_mut()[self.current.get()].at = at;
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
    }

    /// Random bytes of the request that runs.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.tasks.borrow_mut()[self.current.get()]
            .random
            .fill(bytes);
    }

    /// Whether something happens that does so many times in a thousand, to the request that runs.
    pub fn chance(&self, per_mille: u32) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        tasks[self.current.get()].random.chance(per_mille)
    }

    /// Notes that the request that runs makes a key pair, and names it.
    pub fn make(&self, domain: &str, version: u32) -> Rc<str> {
        let task = self.current.get();
        let nth = {
            let state = &mut self.tasks.borrow_mut()[task];
            state.made += 1;
            state.made
        };
        let identity: Rc<str> = format!("{domain}/{version}/task{task}/{nth}").into();
        let mut host = self.host.borrow_mut();
        Rc::make_mut(&mut host.made).push(Made {
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
}
