//! A request that runs: the server's real code as a future, resumed with one answer at a time.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use crate::{
    call::{Answer, Call},
    host::TaskId,
    operation::{self, Instance, Op, Outcome},
    runtime::{Runtime, TaskStatus},
};

/// What a request waits for.
#[derive(Debug, Clone)]
pub enum WaitingFor {
    /// Its start.
    Start,
    /// The answer to a call.
    Call(Rc<Call>),
    /// That time, in milliseconds since 1970.
    Wake(i64),
    /// Nothing more: it has ended.
    End(Rc<Outcome>),
}

/// A request that runs.
pub struct RunningTask {
    runtime: Rc<Runtime>,
    id: TaskId,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
}

impl RunningTask {
    /// Adds a request to a runtime. It goes to `instance`, and has not started.
    pub fn new(op: Op, runtime: &Rc<Runtime>, instance: Rc<Instance>) -> Self {
        let future = operation::run(op, instance);
        Self {
            runtime: runtime.clone(),
            id: runtime.add_task(),
            future: Box::pin(future),
        }
    }

    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Resumes the request with what it waited for. Must not be called after it has ended.
    pub fn resume(&mut self, answer: Answer) -> WaitingFor {
        self.runtime.enter(self.id, answer);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = self.future.as_mut().poll(&mut context) {
            return WaitingFor::End(Rc::new(outcome));
        }
        match self.runtime.status(self.id) {
            TaskStatus::Calling(call) => WaitingFor::Call(call),
            TaskStatus::Sleeping(until) => WaitingFor::Wake(until),
            TaskStatus::NotStarted | TaskStatus::Running => WaitingFor::Start,
        }
    }
}
