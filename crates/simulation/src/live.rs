//! A request that runs: the server's real logic, from one answer of its host to the next call.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use crate::{
    call::{Answer, Call},
    host::TaskId,
    operation::{self, Instance, Op, Outcome},
    world::{At, World},
};

/// What a request waits for.
#[derive(Debug, Clone)]
pub enum Wants {
    /// To begin.
    Start,
    /// The answer to a call.
    Call(Rc<Call>),
    /// That time, in milliseconds since 1970.
    Wake(i64),
    /// Nothing: it has ended.
    End(Rc<Outcome>),
}

/// A request.
pub struct Live {
    world: Rc<World>,
    id: TaskId,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
}

impl Live {
    /// The next request of a world, which has not begun, and the instance that it goes to.
    pub fn new(op: Op, world: &Rc<World>, instance: Rc<Instance>) -> Self {
        let future = operation::run(op, instance);
        Self {
            world: world.clone(),
            id: world.add_task(),
            future: Box::pin(future),
        }
    }

    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Lets it go on with what it waited for. Not to be called again when it has ended.
    pub fn go(&mut self, answer: Answer) -> Wants {
        self.world.enter(self.id, answer);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = self.future.as_mut().poll(&mut context) {
            return Wants::End(Rc::new(outcome));
        }
        match self.world.at(self.id) {
            At::Call(call) => Wants::Call(call),
            At::Sleep(until) => Wants::Wake(until),
            At::Start | At::Away => Wants::Start,
        }
    }
}
