//! The search through the states.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::{
    Exploration, Explored, Failure, MOST_STATES, SEED, finish,
    graph::Graph,
    state::{Action, Caller, State},
};
use crate::{
    behaviour::Behaviour,
    call::{Answer, Kind},
    host::{By, Fault, TaskId},
    live::Wants,
    model::{Model, Violation},
    operation::Op,
    process::{PlaceId, Process},
    random::Digest,
    run::Run,
    view::{self, Views},
};

fn faults(kind: Kind, behaviour: Behaviour) -> &'static [Fault] {
    match kind {
        Kind::Read => &[Fault::Refuse],
        Kind::Write => &[Fault::Refuse, Fault::Lose],
        Kind::Swap if behaviour.reports_errors_as_failed() => &[
            Fault::Refuse,
            Fault::Lose,
            Fault::Delay,
            Fault::RefuseAsFailed,
            Fault::LoseAsFailed,
        ],
        Kind::Swap => &[Fault::Refuse, Fault::Lose, Fault::Delay],
    }
}

/// An exploration under way.
pub struct Explorer<'a> {
    what: &'a Exploration,
    /// All requests: those of before, then the callers'.
    ops: Vec<Op>,
    processes: Vec<Vec<Process>>,
    first: State,
    graph: Graph,
    /// By the store's digest.
    views: HashMap<u64, Rc<Views>>,
    /// Ends that were found to be good, by the digests of store and model.
    good: HashSet<u64>,
}

impl<'a> Explorer<'a> {
    /// Before anything was explored.
    pub fn new(what: &'a Exploration) -> Result<Self, Box<Failure>> {
        let run = what.begin(true)?;
        let host = run.world.host.borrow().clone();
        let mut ops = what.before.clone();
        let mut processes = Vec::new();
        for caller in &what.callers {
            let mut own = Vec::new();
            for op in caller {
                own.push(Process::new(op.clone(), ops.len(), SEED, &host));
                ops.push(op.clone());
            }
            processes.push(own);
        }
        let first = State {
            host,
            model: Rc::new(run.model),
            callers: vec![Caller { at: 0, place: 0 }; what.callers.len()],
            crashes: what.crashes,
            faults: what.faults,
            early_wakes: what.early_wakes,
            preemptions: what.preemptions,
            last: None,
            path: None,
        };
        Ok(Self {
            what,
            ops,
            processes,
            first,
            graph: Graph::default(),
            views: HashMap::new(),
            good: HashSet::new(),
        })
    }

    /// Follows every schedule.
    pub fn follow(mut self) -> Result<Explored, Box<Failure>> {
        self.graph.ways.push(Vec::new());
        let mut todo = vec![(self.first.clone(), 0)];
        while let Some((mut state, from)) = todo.pop() {
            let more = self.advance(&mut state, from);
            let (node, actions) =
                more.map_err(|violation| self.what.explain(state.path.as_ref(), violation))?;
            for action in actions {
                let mut next = state.clone();
                next.push(action);
                todo.push((next, node));
            }
        }
        Ok(self.graph.count())
    }

    /// Takes the last action of a state's path, and those after it that have no other beside them.
    /// Gives the node of where that leads, and what can be done there if that is not known yet.
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
        let (node, is_new) = self.graph.enter(state);
        self.graph.ways[from].push(node);
        if !is_new {
            return Ok((node, Vec::new()));
        }
        if self.graph.ends.len() > MOST_STATES {
            return Err("there are too many states".to_owned());
        }
        if actions.is_empty() {
            self.graph.ends[node] = true;
            self.finish(state)?;
        }
        Ok((node, actions))
    }

    fn process(&mut self, caller: usize, state: &State) -> Option<&mut Process> {
        self.processes[caller].get_mut(state.callers[caller].at)
    }

    /// What a caller's request waits for; before it has begun, its first call.
    fn wants(&mut self, caller: usize, state: &State) -> Option<Wants> {
        let place = state.callers[caller].place;
        let process = self.process(caller, state)?;
        let place = match process.wants(place) {
            Wants::Start => process.go(place, &Answer::Start).0,
            _ => place,
        };
        Some(process.wants(place).clone())
    }

    fn actions(&mut self, state: &State) -> Vec<Action> {
        let mut actions = Vec::with_capacity(8);
        let wants: Vec<(usize, Wants)> = (0..state.callers.len())
            .filter_map(|caller| Some((caller, self.wants(caller, state)?)))
            .collect();
        let all_sleep = wants
            .iter()
            .all(|(_, wants)| matches!(wants, Wants::Wake(_)));
        // What no other request can notice or disturb goes first: its moment makes no difference.
        let private = wants
            .iter()
            .find(|(_, wants)| matches!(wants, Wants::Call(call) if state.host.is_private(call)));
        let mut only = private.map(|(caller, _)| *caller);
        if state.preemptions == Some(0) && only.is_none() {
            only = self.interrupted(state);
        }
        for (caller, wants) in &wants {
            if only.is_some_and(|only| only != *caller) {
                continue;
            }
            let Wants::Call(call) = wants else {
                if all_sleep || state.early_wakes > 0 {
                    actions.push(Action::Step(*caller, Fault::None));
                }
                continue;
            };
            actions.push(Action::Step(*caller, Fault::None));
            if state.crashes > 0 && call.kind() != Kind::Read && !state.host.is_private(call) {
                actions.push(Action::StepAndCrash(*caller));
            }
            if state.faults > 0 {
                let faults = faults(call.kind(), self.what.behaviour);
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
                    state.wastes_keys();
                }
                self.step(state, caller, fault, false)
            }
            Action::StepAndCrash(caller) => {
                state.crashes -= 1;
                state.wastes_keys();
                self.step(state, caller, Fault::None, true)
            }
            Action::Settle(nth, applies) => {
                let (write, written) = state.host.settle(nth, applies);
                if written {
                    self.look(state, write.task)?;
                }
                let is_over = state.is_over(write.task, &self.processes, self.what.before.len());
                if is_over && !state.host.has_delayed(write.task) {
                    Rc::make_mut(&mut state.model).lingers(write.task, false);
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
        let wants = self.wants(caller, state);
        if !matches!(wants, Some(Wants::Call(call)) if state.host.is_private(&call)) {
            if self.interrupted(state).is_some_and(|last| last != caller) {
                state.preemptions = state.preemptions.map(|left| left - 1);
            }
            state.last = state.preemptions.map(|_| caller);
        }
        let Caller { at, place } = state.callers[caller];
        let task = self.task(caller, at);
        let process = &mut self.processes[caller][at];
        let mut place = place;
        if matches!(process.wants(place), Wants::Start) {
            let now_ms = state.host.now_ms;
            Rc::make_mut(&mut state.model).started(task, process.op(), now_ms);
            place = self.go(state, caller, place, &Answer::Start);
        }
        let process = &self.processes[caller][at];
        let mut changed = false;
        let answer = match process.wants(place).clone() {
            Wants::Call(call) => {
                let by = By {
                    task,
                    calls: process.calls(place),
                };
                let before = state.host.cells.digest();
                let answer = state.host.perform(by, &call, fault);
                changed = call.kind() == Kind::Swap && state.host.cells.digest() != before;
                answer
            }
            Wants::Wake(_) => {
                if !self.all_sleep(state) {
                    state.early_wakes -= 1;
                    state.wastes_keys();
                }
                Answer::Awake
            }
            Wants::Start | Wants::End(_) => return Ok(()),
        };
        if !crashes {
            place = self.go(state, caller, place, &answer);
        }
        if changed {
            self.look(state, task)?;
        }
        let end = match self.processes[caller][at].wants(place) {
            Wants::End(outcome) if !crashes => Some(outcome.clone()),
            _ => None,
        };
        let model = Rc::make_mut(&mut state.model);
        if let Some(outcome) = &end {
            model.answered(task, outcome, &state.host)?;
        } else if crashes {
            model.crashed(task);
        } else {
            state.callers[caller].place = place;
            return Ok(());
        }
        if state.host.has_delayed(task) {
            model.lingers(task, true);
        }
        state.callers[caller] = Caller {
            at: at + 1,
            place: 0,
        };
        state.last = None;
        Ok(())
    }

    /// Who took the last step and could go on.
    fn interrupted(&mut self, state: &State) -> Option<usize> {
        let last = state.last?;
        let wants = self.wants(last, state);
        matches!(wants, Some(Wants::Call(_))).then_some(last)
    }

    fn task(&self, caller: usize, at: usize) -> TaskId {
        let before: usize = self.what.callers[..caller].iter().map(Vec::len).sum();
        self.what.before.len() + before + at
    }

    /// Lets a process go on, and notes the keys that it makes.
    fn go(&mut self, state: &mut State, caller: usize, place: PlaceId, answer: &Answer) -> PlaceId {
        let at = state.callers[caller].at;
        let (place, made) = self.processes[caller][at].go(place, answer);
        if !made.is_empty() {
            Rc::make_mut(&mut state.host.made).extend(made.iter().cloned());
        }
        place
    }

    /// Whether nobody can go on until time passes.
    fn all_sleep(&mut self, state: &State) -> bool {
        (0..state.callers.len()).all(|caller| {
            let wants = self.wants(caller, state);
            matches!(wants, None | Some(Wants::Wake(_)))
        })
    }

    fn look(&mut self, state: &mut State, task: TaskId) -> Result<(), Violation> {
        let digest = state.host.cells.digest();
        let views = match self.views.get(&digest) {
            Some(views) => views.clone(),
            None => {
                let views = view::look(&state.host, state.model.domains())?;
                self.views.insert(digest, views.clone());
                views
            }
        };
        Rc::make_mut(&mut state.model).wrote(task, &state.host, &views)
    }

    fn finish(&mut self, state: &State) -> Result<(), Violation> {
        let mut digest = Digest::default();
        state.host.digest(&mut digest);
        state.model.digest(&mut digest);
        if self.good.contains(&digest.value()) {
            return Ok(());
        }
        let model = Model::clone(&state.model);
        let mut run = Run::resume(state.host.clone(), model, self.ops.clone(), SEED, false);
        finish(&mut run)?;
        self.good.insert(digest.value());
        Ok(())
    }
}
