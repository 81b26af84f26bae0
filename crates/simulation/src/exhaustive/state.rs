//! The states of an exploration, and the actions that lead from one to another.

use std::rc::Rc;

use crate::{
    host::{Fault, Host, TaskId},
    model::Model,
    random::Digest,
    recorded_task::{LocalStateId, RecordedTask},
};

/// What the scheduler can do.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// A caller's request takes its next step.
    Step(usize, Fault),
    /// The same, and the request crashes right after it.
    StepAndCrash(usize),
    /// A delayed write takes effect, or never will.
    Settle(usize, bool),
}

/// The actions that led to a state. The last comes first.
pub struct Path {
    pub action: Action,
    before: Option<Rc<Path>>,
}

impl Path {
    pub fn to_actions(path: Option<&Rc<Self>>) -> Vec<Action> {
        let mut actions: Vec<Action> = std::iter::successors(path, |path| path.before.as_ref())
            .map(|path| path.action)
            .collect();
        actions.reverse();
        actions
    }
}

/// Which of a caller's requests is in flight or next, and its local state.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub request: usize,
    pub local: LocalStateId,
}

/// A state of an exploration.
#[derive(Clone)]
pub struct State {
    pub host: Host,
    pub model: Rc<Model>,
    pub callers: Vec<Caller>,
    /// How many crashes are left.
    pub crashes: u8,
    /// How many faults of calls are left.
    pub faults: u8,
    /// How many early wakes are left.
    pub early_wakes: u8,
    /// How many preemptions are left, if they are bounded.
    pub preemptions: Option<u8>,
    /// The caller that took the last step, if its request is still in flight and preemptions are
    /// bounded.
    pub last: Option<usize>,
    pub path: Option<Rc<Path>>,
}

impl State {
    pub fn push(&mut self, action: Action) {
        let before = self.path.take();
        self.path = Some(Rc::new(Path { action, before }));
    }

    /// From here on, a key pair may be unused.
    pub fn allow_unused_keys(&mut self) {
        Rc::make_mut(&mut self.model).allowances.unused_keys = true;
    }

    /// Whether a request has ended. `before` is the number of requests before the callers'.
    pub fn has_ended(&self, task: TaskId, tasks: &[Vec<RecordedTask>], before: usize) -> bool {
        let mut nth = before;
        for (caller, own) in self.callers.iter().zip(tasks) {
            if task < nth + own.len() {
                return task < nth + caller.request;
            }
            nth += own.len();
        }
        true
    }

    /// A hash of all that later steps depend on.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        self.host.digest(&mut digest);
        self.model.digest(&mut digest);
        for caller in &self.callers {
            digest.number((caller.request as u64) << 32 | caller.local as u64);
        }
        for left in [self.crashes, self.faults, self.early_wakes] {
            digest.number(u64::from(left));
        }
        if let Some(left) = self.preemptions {
            digest.number(u64::from(left));
            digest.number(self.last.map_or(0, |last| 1 + last as u64));
        }
        digest.value()
    }
}
