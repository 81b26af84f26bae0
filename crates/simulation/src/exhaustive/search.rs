//! The depth-first search through the states.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::{
    counterexample::counterexample,
    exploration::{Exploration, Failure, SEED, check_end},
    graph::{Explored, Graph},
    state::{Action, Caller, State},
};
use crate::{
    call::{Answer, Kind},
    execution::Execution,
    host::{CallId, Fault, TaskId},
    model::Model,
    operation::Op,
    random::Digest,
    recorded_task::{LocalStateId, RecordedTask},
    running_task::WaitingFor,
    snapshot::{self, Snapshots},
    violation::Violation,
};

/// More states than this are a mistake in the case.
const MAX_STATES: usize = 5_000_000;

/// Explores every schedule.
pub fn explore(exploration: &Exploration) -> Result<Explored, Box<Failure>> {
    Search::new(exploration).and_then(Search::run)
}

struct Search<'a> {
    exploration: &'a Exploration,
    /// All requests: first those of before, then the callers'.
    ops: Vec<Op>,
    /// The requests of each caller.
    tasks: Vec<Vec<RecordedTask>>,
    initial: State,
    graph: Graph,
    /// By the store's digest.
    snapshots: HashMap<u64, Rc<Snapshots>>,
    /// The digests of store and model in the ends that were checked.
    checked_ends: HashSet<u64>,
}

impl<'a> Search<'a> {
    fn new(exploration: &'a Exploration) -> Result<Self, Box<Failure>> {
        let execution = exploration.begin(true)?;
        let host = execution.runtime.host.borrow().clone();
        let mut ops = exploration.before.clone();
        let mut tasks = Vec::new();
        for caller in &exploration.callers {
            let mut own = Vec::new();
            for op in caller {
                own.push(RecordedTask::new(op.clone(), ops.len(), SEED, &host));
                ops.push(op.clone());
            }
            tasks.push(own);
        }
        let caller = Caller {
            request: 0,
            local: 0,
        };
        let initial = State {
            host,
            model: Rc::new(execution.model),
            callers: vec![caller; exploration.callers.len()],
            crashes: exploration.crashes,
            faults: exploration.faults,
            early_wakes: exploration.early_wakes,
            preemptions: exploration.preemptions,
            last: None,
            path: None,
        };
        Ok(Self {
            exploration,
            ops,
            tasks,
            initial,
            graph: Graph::new(),
            snapshots: HashMap::new(),
            checked_ends: HashSet::new(),
        })
    }

    fn run(mut self) -> Result<Explored, Box<Failure>> {
        let mut todo = vec![(self.initial.clone(), 0)];
        while let Some((mut state, from)) = todo.pop() {
            let (node, actions) = self.advance(&mut state, from).map_err(|violation| {
                counterexample(self.exploration, state.path.as_ref(), violation)
            })?;
            for action in actions {
                let mut next = state.clone();
                next.push(action);
                todo.push((next, node));
            }
        }
        Ok(self.graph.count())
    }

    /// Takes the last action of a state's path, and all that follow without a choice. Gives the node
    /// of the state that this leads to, and the possible actions if it is new.
    fn advance(
        &mut self,
        state: &mut State,
        from: usize,
    ) -> Result<(usize, Vec<Action>), Violation> {
        if let Some(path) = state.path.clone() {
            self.apply(state, path.action)?;
        }
        let mut actions = self.actions(state);
        while let [only] = actions[..] {
            state.push(only);
            self.apply(state, only)?;
            actions = self.actions(state);
        }
        let (node, is_new) = self.graph.enter(from, state);
        if !is_new {
            return Ok((node, Vec::new()));
        }
        if self.graph.len() > MAX_STATES {
            return Err(Violation::other("there are too many states"));
        }
        if actions.is_empty() {
            self.graph.mark_end(node);
            self.check_end(state)?;
        }
        Ok((node, actions))
    }

    /// What a caller's request waits for. If it has not started, this is its first call.
    fn waiting_for(&mut self, caller: usize, state: &State) -> Option<WaitingFor> {
        let Caller { request, local } = state.callers[caller];
        let task = self.tasks[caller].get_mut(request)?;
        let local = match task.waiting_for(local) {
            WaitingFor::Start => task.resume(local, &Answer::Start).0,
            _ => local,
        };
        Some(task.waiting_for(local).clone())
    }

    /// The actions that are possible in a state.
    fn actions(&mut self, state: &State) -> Vec<Action> {
        let mut actions = Vec::with_capacity(8);
        let waiting: Vec<(usize, WaitingFor)> = (0..state.callers.len())
            .filter_map(|caller| Some((caller, self.waiting_for(caller, state)?)))
            .collect();
        let all_sleep = waiting
            .iter()
            .all(|(_, waiting)| matches!(waiting, WaitingFor::Wake(_)));
        // An independent call goes first, because its order makes no difference.
        let independent = waiting.iter().find(
            |(_, waiting)| matches!(waiting, WaitingFor::Call(call) if state.host.is_independent(call)),
        );
        let mut only = independent.map(|(caller, _)| *caller);
        if state.preemptions == Some(0) && only.is_none() {
            only = self.last_if_it_can_run(state);
        }
        for (caller, waiting) in &waiting {
            if only.is_some_and(|only| only != *caller) {
                continue;
            }
            let WaitingFor::Call(call) = waiting else {
                if all_sleep || state.early_wakes > 0 {
                    actions.push(Action::Step(*caller, Fault::None));
                }
                continue;
            };
            actions.push(Action::Step(*caller, Fault::None));
            if state.crashes > 0 && call.kind() != Kind::Read && !state.host.is_independent(call) {
                actions.push(Action::StepAndCrash(*caller));
            }
            if state.faults > 0 {
                let faults = Fault::possible(call.kind(), self.exploration.store);
                actions.extend(faults.iter().map(|fault| Action::Step(*caller, *fault)));
            }
        }
        for nth in 0..state.host.delayed.len() {
            actions.push(Action::Settle(nth, true));
            actions.push(Action::Settle(nth, false));
        }
        actions
    }

    fn apply(&mut self, state: &mut State, action: Action) -> Result<(), Violation> {
        match action {
            Action::Step(caller, fault) => {
                if fault != Fault::None {
                    state.faults -= 1;
                    state.allow_unused_keys();
                }
                self.step(state, caller, fault, false)
            }
            Action::StepAndCrash(caller) => {
                state.crashes -= 1;
                state.allow_unused_keys();
                self.step(state, caller, Fault::None, true)
            }
            Action::Settle(nth, applies) => {
                let (write, written) = state.host.settle(nth, applies);
                if written {
                    self.check_tables(state, write.task)?;
                }
                let before = self.exploration.before.len();
                let has_ended = state.has_ended(write.task, &self.tasks, before);
                if has_ended && !state.host.has_delayed(write.task) {
                    Rc::make_mut(&mut state.model).set_delayed_writes(write.task, false);
                }
                Ok(())
            }
        }
    }

    fn step(
        &mut self,
        state: &mut State,
        caller: usize,
        fault: Fault,
        crashes: bool,
    ) -> Result<(), Violation> {
        let waiting = self.waiting_for(caller, state);
        if !matches!(waiting, Some(WaitingFor::Call(call)) if state.host.is_independent(&call)) {
            let last = self.last_if_it_can_run(state);
            if last.is_some_and(|last| last != caller) {
                state.preemptions = state.preemptions.map(|left| left - 1);
            }
            state.last = state.preemptions.map(|_| caller);
        }
        let Caller { request, mut local } = state.callers[caller];
        let id = self.task_id(caller, request);
        let task = &mut self.tasks[caller][request];
        if matches!(task.waiting_for(local), WaitingFor::Start) {
            let now_ms = state.host.now_ms;
            Rc::make_mut(&mut state.model).started(id, task.op(), now_ms);
            local = self.resume(state, caller, local, &Answer::Start);
        }
        let task = &self.tasks[caller][request];
        let mut changed = false;
        let answer = match task.waiting_for(local).clone() {
            WaitingFor::Call(call) => {
                let calls = task.calls(local);
                let before = state.host.store.digest();
                let answer = state.host.perform(CallId { task: id, calls }, &call, fault);
                changed = call.kind() == Kind::Swap && state.host.store.digest() != before;
                answer
            }
            WaitingFor::Wake(_) => {
                if !self.all_sleep(state) {
                    state.early_wakes -= 1;
                    state.allow_unused_keys();
                }
                Answer::Awake
            }
            WaitingFor::Start | WaitingFor::End(_) => return Ok(()),
        };
        if !crashes {
            local = self.resume(state, caller, local, &answer);
        }
        if changed {
            self.check_tables(state, id)?;
        }
        let outcome = match self.tasks[caller][request].waiting_for(local) {
            WaitingFor::End(outcome) if !crashes => Some(outcome.clone()),
            _ => None,
        };
        let model = Rc::make_mut(&mut state.model);
        if let Some(outcome) = &outcome {
            model.answered(id, outcome, &state.host)?;
        } else if crashes {
            model.crashed(id);
        } else {
            state.callers[caller].local = local;
            return Ok(());
        }
        if state.host.has_delayed(id) {
            model.set_delayed_writes(id, true);
        }
        state.callers[caller] = Caller {
            request: request + 1,
            local: 0,
        };
        state.last = None;
        Ok(())
    }

    /// The caller that took the last step, if its request can run. A step of another caller is then
    /// a preemption.
    fn last_if_it_can_run(&mut self, state: &State) -> Option<usize> {
        let last = state.last?;
        let waiting = self.waiting_for(last, state);
        matches!(waiting, Some(WaitingFor::Call(_))).then_some(last)
    }

    fn task_id(&self, caller: usize, request: usize) -> TaskId {
        let callers = &self.exploration.callers;
        let before: usize = callers[..caller].iter().map(Vec::len).sum();
        self.exploration.before.len() + before + request
    }

    /// Resumes a caller's request, and records the keys that it makes.
    fn resume(
        &mut self,
        state: &mut State,
        caller: usize,
        local: LocalStateId,
        answer: &Answer,
    ) -> LocalStateId {
        let request = state.callers[caller].request;
        let (local, made_keys) = self.tasks[caller][request].resume(local, answer);
        if !made_keys.is_empty() {
            Rc::make_mut(&mut state.host.made_keys).extend(made_keys.iter().cloned());
        }
        local
    }

    /// Whether no request can run until time passes.
    fn all_sleep(&mut self, state: &State) -> bool {
        (0..state.callers.len()).all(|caller| {
            let waiting = self.waiting_for(caller, state);
            matches!(waiting, None | Some(WaitingFor::Wake(_)))
        })
    }

    /// Checks the tables against the model after a write of a request.
    fn check_tables(&mut self, state: &mut State, task: TaskId) -> Result<(), Violation> {
        let digest = state.host.store.digest();
        let snapshots = match self.snapshots.get(&digest) {
            Some(snapshots) => snapshots.clone(),
            None => {
                let snapshots = snapshot::take(&state.host, state.model.domains())?;
                self.snapshots.insert(digest, snapshots.clone());
                snapshots
            }
        };
        Rc::make_mut(&mut state.model).wrote(task, &state.host, &snapshots)
    }

    fn check_end(&mut self, state: &State) -> Result<(), Violation> {
        let mut digest = Digest::default();
        state.host.digest(&mut digest);
        state.model.digest(&mut digest);
        if self.checked_ends.contains(&digest.value()) {
            return Ok(());
        }
        let model = Model::clone(&state.model);
        let mut execution =
            Execution::resume(state.host.clone(), model, self.ops.clone(), SEED, false);
        check_end(&mut execution)?;
        self.checked_ends.insert(digest.value());
        Ok(())
    }
}
