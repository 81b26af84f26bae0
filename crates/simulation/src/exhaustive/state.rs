//! A state of an exploration, and what leads from one to another.

use std::rc::Rc;

use crate::{
    host::{Fault, Host, TaskId},
    model::Model,
    process::{PlaceId, Process},
};

/// What the scheduler can do.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// A caller's request takes its next step.
    Step(usize, Fault),
    /// The same, and crashes right after it.
    StepAndCrash(usize),
    Settle(usize, bool),
}

/// The actions that led to a state, the last first.
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

/// Which of a caller's requests is under way or next, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub at: usize,
    pub place: PlaceId,
}

/// A state of an exploration.
#[derive(Clone)]
pub struct State {
    pub host: Host,
    pub model: Rc<Model>,
    pub callers: Vec<Caller>,
    pub crashes: u8,
    pub faults: u8,
    pub early_wakes: u8,
    pub preemptions: Option<u8>,
    /// Who took the last step, where preemptions are counted, and has not ended with it.
    pub last: Option<usize>,
    pub path: Option<Rc<Path>>,
}

impl State {
    pub fn push(&mut self, action: Action) {
        let before = self.path.take();
        self.path = Some(Rc::new(Path { action, before }));
    }

    /// From here on a key pair may have been made in vain.
    pub fn wastes_keys(&mut self) {
        Rc::make_mut(&mut self.model).leniency.wasted_keys = true;
    }

    pub fn is_over(&self, task: TaskId, processes: &[Vec<Process>], before: usize) -> bool {
        let mut nth = before;
        for (caller, own) in self.callers.iter().zip(processes) {
            if task < nth + own.len() {
                return task < nth + caller.at;
            }
            nth += own.len();
        }
        true
    }
}
