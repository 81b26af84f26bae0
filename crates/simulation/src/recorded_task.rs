//! A request as a state machine: local states in which it waits, and transitions that an answer
//! takes from one to another.
//!
//! What a request does next depends only on the answers that it got. So the real code runs once for
//! each local state and answer, and the transition is recorded for all other schedules.

use std::{collections::HashMap, rc::Rc};

use crate::{
    call::Answer,
    host::{Host, MadeKey},
    operation::{Instance, Op},
    running_task::{RunningTask, WaitingFor},
    runtime::Runtime,
};

/// The number of a request's local state. The initial state is 0.
pub type LocalStateId = usize;

struct LocalState {
    waiting_for: WaitingFor,
    /// How many calls were made before.
    calls: u32,
    predecessor: Option<(LocalStateId, Answer)>,
    /// By the answer's digest.
    transitions: HashMap<u64, Transition>,
}

#[derive(Clone)]
struct Transition {
    to: LocalStateId,
    made_keys: Rc<[MadeKey]>,
}

/// A request with its recorded states.
pub struct RecordedTask {
    op: Op,
    /// How many requests there were before it.
    nth: usize,
    seed: u64,
    host: Host,
    states: Vec<LocalState>,
    /// The real code, in the state that it reached last.
    running: Option<(LocalStateId, Rc<Runtime>, RunningTask)>,
}

impl RecordedTask {
    /// The request after `nth` others, at the time of `host`.
    pub fn new(op: Op, nth: usize, seed: u64, host: &Host) -> Self {
        let initial = LocalState {
            waiting_for: WaitingFor::Start,
            calls: 0,
            predecessor: None,
            transitions: HashMap::new(),
        };
        Self {
            op,
            nth,
            seed,
            host: host.unused(),
            states: vec![initial],
            running: None,
        }
    }

    pub fn op(&self) -> &Op {
        &self.op
    }

    pub fn waiting_for(&self, state: LocalStateId) -> &WaitingFor {
        &self.states[state].waiting_for
    }

    pub fn calls(&self, state: LocalStateId) -> u32 {
        self.states[state].calls
    }

    /// The state that an answer leads to, and the key pairs that are made in the transition.
    pub fn resume(
        &mut self,
        state: LocalStateId,
        answer: &Answer,
    ) -> (LocalStateId, Rc<[MadeKey]>) {
        let digest = answer.digest();
        if let Some(transition) = self.states[state].transitions.get(&digest) {
            return (transition.to, transition.made_keys.clone());
        }
        let (runtime, mut running) = match self.running.take() {
            Some((at, runtime, running)) if at == state => (runtime, running),
            _ => self.replay(state),
        };
        let made_before = runtime.host.borrow().made_keys.len();
        let waiting_for = running.resume(answer.clone());
        let made_keys: Rc<[MadeKey]> = runtime.host.borrow().made_keys[made_before..].into();
        let to = self.states.len();
        self.states.push(LocalState {
            waiting_for,
            calls: runtime.calls(running.id()),
            predecessor: Some((state, answer.clone())),
            transitions: HashMap::new(),
        });
        let transition = Transition {
            to,
            made_keys: made_keys.clone(),
        };
        self.states[state].transitions.insert(digest, transition);
        self.running = Some((to, runtime, running));
        (to, made_keys)
    }

    /// Runs the real code from the start to a state that it reached before.
    fn replay(&self, state: LocalStateId) -> (Rc<Runtime>, RunningTask) {
        let mut answers = Vec::new();
        let mut at = state;
        while let Some((from, answer)) = &self.states[at].predecessor {
            answers.push(answer.clone());
            at = *from;
        }
        let runtime = Runtime::new(self.host.clone(), self.nth, self.seed, false);
        let mut running = RunningTask::new(
            self.op.clone(),
            &runtime,
            Instance::new(&runtime, self.op.owner(), false),
        );
        for answer in answers.into_iter().rev() {
            running.resume(answer);
        }
        (runtime, running)
    }
}
