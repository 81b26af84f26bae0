//! The runtime that all requests of one execution share: the host, the clock, the state of each
//! request and its random numbers, and the trace.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::Poll,
};

use crate::{
    call::{Answer, Call},
    host::{Host, MadeKey, START_MS, TaskId},
    random::Random,
    store_model::StoreModel,
};

/// The status of a request.
#[derive(Debug, Clone)]
pub enum TaskStatus {
    /// It has not started.
    NotStarted,
    /// It waits for the answer to a call to the store.
    Calling(Rc<Call>),
    /// It sleeps until then, in milliseconds since 1970.
    Sleeping(i64),
    /// It runs, or has ended.
    Running,
}

/// What the runtime knows of a request.
#[derive(Debug)]
struct Task {
    status: TaskStatus,
    /// The answer to its last call.
    answer: Option<Answer>,
    random: Random,
    calls: u32,
    made_keys: u32,
}

/// The runtime of one execution.
#[derive(Debug)]
pub struct Runtime {
    pub host: RefCell<Host>,
    /// Whether making a key fails now and then.
    pub key_making_fails: Cell<bool>,
    tasks: RefCell<Vec<Task>>,
    current: Cell<TaskId>,
    seed: u64,
    trace: Option<RefCell<Vec<String>>>,
}

impl Runtime {
    /// A runtime in which so many requests have ended and none is in flight.
    pub fn new(host: Host, requests: usize, seed: u64, traced: bool) -> Rc<Self> {
        let runtime = Self {
            host: RefCell::new(host),
            key_making_fails: Cell::new(false),
            tasks: RefCell::default(),
            current: Cell::new(0),
            seed,
            trace: traced.then(RefCell::default),
        };
        for _ in 0..requests {
            runtime.add_task();
        }
        Rc::new(runtime)
    }

    pub fn store_model(&self) -> StoreModel {
        self.host.borrow().store_model()
    }

    pub fn now_ms(&self) -> i64 {
        self.host.borrow().now_ms
    }

    pub fn advance_to(&self, ms: i64) {
        let now_ms = &mut self.host.borrow_mut().now_ms;
        *now_ms = ms.max(*now_ms);
    }

    /// Adds a request. It has random numbers of its own, so that they depend only on the answers
    /// that it gets.
    pub fn add_task(&self) -> TaskId {
        let mut tasks = self.tasks.borrow_mut();
        let seed = self.seed ^ (tasks.len() as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
        tasks.push(Task {
            status: TaskStatus::NotStarted,
            answer: None,
            random: Random::new(seed),
            calls: 0,
            made_keys: 0,
        });
        tasks.len() - 1
    }

    /// Makes a request the current one, and hands it its answer.
    pub fn enter(&self, id: TaskId, answer: Answer) {
        self.current.set(id);
        let task = &mut self.tasks.borrow_mut()[id];
        if matches!(task.status, TaskStatus::Calling(_)) {
            task.calls += 1;
        }
        task.status = TaskStatus::Running;
        task.answer = Some(answer);
    }

    pub fn status(&self, id: TaskId) -> TaskStatus {
        self.tasks.borrow()[id].status.clone()
    }

    /// How many calls a request has made.
    pub fn calls(&self, id: TaskId) -> u32 {
        self.tasks.borrow()[id].calls
    }

    /// Makes a call for the current request. Returns when the scheduler has let the host answer.
    pub async fn call(&self, call: Call) -> Answer {
        self.suspend(TaskStatus::Calling(Rc::new(call))).await;
        let answer = self.tasks.borrow_mut()[self.current.get()].answer.take();
        answer.unwrap_or(Answer::Error("there is no answer"))
    }

    /// Suspends the current request until the scheduler resumes it.
    pub async fn suspend(&self, status: TaskStatus) {
        let mut status = Some(status);
        poll_fn(|_| match status.take() {
            Some(status) => {
                self.tasks.borrow_mut()[self.current.get()].status = status;
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
    }

    /// Fills bytes with random numbers of the current request.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.tasks.borrow_mut()[self.current.get()]
            .random
            .fill(bytes);
    }

    /// True with this probability, in thousandths. Drawn from the current request's numbers.
    pub fn chance(&self, per_mille: u32) -> bool {
        let mut tasks = self.tasks.borrow_mut();
        tasks[self.current.get()].random.chance(per_mille)
    }

    /// Records that the current request makes a key pair, and gives the key pair's name.
    pub fn make_key(&self, domain: &str, version: u32) -> Rc<str> {
        let id = self.current.get();
        let nth = {
            let task = &mut self.tasks.borrow_mut()[id];
            task.made_keys += 1;
            task.made_keys
        };
        let name: Rc<str> = format!("{domain}/{version}/task{id}/{nth}").into();
        let mut host = self.host.borrow_mut();
        Rc::make_mut(&mut host.made_keys).push(MadeKey {
            version,
            name: name.clone(),
        });
        name
    }

    /// Adds a line to the trace, if there is one.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let ms = self.now_ms() - START_MS;
            trace.borrow_mut().push(format!("{ms:>7} ms  {}", line()));
        }
    }

    /// Adds a line about the current request.
    pub fn trace_current(&self, line: impl FnOnce() -> String) {
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
