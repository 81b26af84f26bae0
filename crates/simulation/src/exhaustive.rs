//! Every schedule of a few requests: every interleaving of their calls, and every crash and fault
//! of a number that is given.
//!
//! Two schedules that lead to the same store, the same place of every request and the same model
//! have the same future, and only one of them is followed further. Time is left out: a sleeper
//! wakes when nobody else can go on, and a number of times at any moment.
//!
//! A request begins with its first call, its answer arrives with its last, and it crashes right
//! after a write: other moments give the model less to ask for, and others nothing else to see.

use std::{collections::HashMap, fmt, rc::Rc};

use anonymous_domains::knobs::{self, Knobs, Mutation};

use crate::{
    behaviour::Behaviour,
    call::{Answer, Kind},
    host::{By, Fault, Host, TaskId},
    live::Wants,
    model::{Leniency, Model, Violation},
    operation::Op,
    process::{PlaceId, Process},
    random::Digest,
    run::{Next, Run},
    view::{self, Views},
    world::World,
};

/// What to explore.
#[derive(Debug, Clone)]
pub(crate) struct Exploration {
    pub behaviour: Behaviour,
    /// Done one after the other before, while nothing happens.
    pub before: Vec<Op>,
    /// What each caller asks for, one after the other.
    pub callers: Vec<Vec<Op>>,
    pub leaf_entries: usize,
    pub crashes: u8,
    pub faults: u8,
    /// How often somebody wakes although others could go on, as if those were slow.
    pub early_wakes: u8,
    /// How often at most a request is interrupted by another although it could go on.
    pub preemptions: Option<u8>,
    pub mutation: Option<Mutation>,
}

/// How many schedules there were.
#[derive(Debug, Clone, Copy, Default)]
pub struct Explored {
    /// Different states in which there is a choice, or that are an end.
    pub states: u64,
    /// States from which nobody goes on.
    pub ends: u64,
    /// Different schedules, each a way from the beginning to an end.
    pub schedules: f64,
}

impl Explored {
    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.states += other.states;
        self.ends += other.ends;
        self.schedules += other.schedules;
    }
}

/// A schedule in which something did not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What did not hold: the number of the invariant, and what was seen.
    pub violation: String,
    /// The steps.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        write!(f, "VIOLATED {}", self.violation)
    }
}

/// More states than this are a mistake in what is explored.
const MOST_STATES: usize = 5_000_000;

/// What fixes the requests' random numbers.
const SEED: u64 = 1;

/// What the scheduler can do.
#[derive(Debug, Clone, Copy)]
enum Action {
    /// A caller's request takes its next step.
    Step(usize, Fault),
    /// The same, and crashes right after it.
    StepAndCrash(usize),
    Settle(usize, bool),
}

/// The actions that led to a state, the last first.
struct Path {
    action: Action,
    before: Option<Rc<Path>>,
}

impl Path {
    fn to_actions(path: Option<&Rc<Self>>) -> Vec<Action> {
        let mut actions: Vec<Action> = std::iter::successors(path, |path| path.before.as_ref())
            .map(|path| path.action)
            .collect();
        actions.reverse();
        actions
    }
}

/// Which of a caller's requests is under way or next, and where it is.
#[derive(Debug, Clone, Copy)]
struct Caller {
    at: usize,
    place: PlaceId,
}

#[derive(Clone)]
struct State {
    host: Host,
    model: Rc<Model>,
    callers: Vec<Caller>,
    crashes: u8,
    faults: u8,
    early_wakes: u8,
    preemptions: Option<u8>,
    /// Who took the last step, where preemptions are counted, and has not ended with it.
    last: Option<usize>,
    path: Option<Rc<Path>>,
}

impl Exploration {
    /// Follows every schedule.
    pub fn explore(&self) -> Result<Explored, Box<Failure>> {
        knobs::turn(Knobs {
            leaf_entries: self.leaf_entries,
            branch_children: 3,
            revisions_kept: 32,
            broken: self.mutation,
        });
        let result = Explorer::new(self).and_then(Explorer::follow);
        knobs::turn(Knobs::default());
        result
    }

    /// What is done before.
    fn begin(&self, traced: bool) -> Result<Run, Box<Failure>> {
        let world = World::new(Host::new(self.behaviour), 0, SEED, traced);
        let ops = || self.callers.iter().flatten().chain(&self.before);
        let domains = 1 + ops().map(Op::domain).max().unwrap_or(0);
        let mut run = Run::new(world, Model::new(domains, Leniency::default()), false);
        for op in &self.before {
            if let Err(violation) = run.run_alone(op.clone()) {
                let trace = run.world.take_trace();
                return Err(Box::new(Failure { violation, trace }));
            }
        }
        Ok(run)
    }

    /// The same schedule again, with a trace.
    fn explain(&self, path: Option<&Rc<Path>>, violation: Violation) -> Box<Failure> {
        let path = Path::to_actions(path);
        let mut run = match self.begin(true) {
            Ok(run) => run,
            Err(failure) => return failure,
        };
        let callers: Vec<Vec<TaskId>> = self
            .callers
            .iter()
            .map(|ops| ops.iter().map(|op| run.add(op.clone())).collect())
            .collect();
        let _ = path
            .iter()
            .try_for_each(|action| again(&mut run, &callers, *action))
            .and_then(|()| finish(&mut run));
        let trace = run.world.take_trace();
        Box::new(Failure { violation, trace })
    }
}

/// Takes an action in a schedule with a trace.
fn again(run: &mut Run, callers: &[Vec<TaskId>], action: Action) -> Result<(), Violation> {
    let under_way = |run: &Run, caller: usize| {
        let mut tasks = callers[caller].iter().copied();
        tasks.find(|task| run.next(*task) != Next::Ended)
    };
    let step = |run: &mut Run, caller, fault| -> Result<_, Violation> {
        let Some(task) = under_way(run, caller) else {
            return Ok(None);
        };
        if run.next(task) == Next::Go {
            run.step(task, Fault::None)?;
        }
        run.step(task, fault)?;
        Ok(Some(task))
    };
    // Where this matters, the exploration has seen it.
    run.model.leniency.wasted_keys = true;
    match action {
        Action::Step(caller, fault) => {
            if let Some(task) = step(run, caller, fault)?
                && run.next(task) == Next::Go
            {
                run.step(task, Fault::None)?;
            }
        }
        Action::StepAndCrash(caller) => {
            if let Some(task) = step(run, caller, Fault::None)? {
                run.crash(task);
            }
        }
        Action::Settle(nth, applies) => run.settle(nth, applies)?,
    }
    Ok(())
}

fn finish(run: &mut Run) -> Result<(), Violation> {
    let machines = 1 + (0..8).filter(|it| run.knows(*it)).max().unwrap_or(0);
    let domains = run.model.domains();
    run.finish(machines, domains)
}

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
struct Explorer<'a> {
    what: &'a Exploration,
    /// All requests: those of before, then the callers'.
    ops: Vec<Op>,
    processes: Vec<Vec<Process>>,
    first: State,
    graph: Graph,
    /// By the store's digest.
    views: HashMap<u64, Rc<Views>>,
    /// Ends that were found to be good, by the digests of store and model.
    good: HashMap<u64, ()>,
}

impl<'a> Explorer<'a> {
    fn new(what: &'a Exploration) -> Result<Self, Box<Failure>> {
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
            good: HashMap::new(),
        })
    }

    fn follow(mut self) -> Result<Explored, Box<Failure>> {
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
            Rc::make_mut(&mut state.model).started(task, process.op());
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
        if self.good.contains_key(&digest.value()) {
            return Ok(());
        }
        let model = Model::clone(&state.model);
        let mut run = Run::resume(state.host.clone(), model, self.ops.clone(), SEED, false);
        finish(&mut run)?;
        self.good.insert(digest.value(), ());
        Ok(())
    }
}

impl State {
    fn push(&mut self, action: Action) {
        let before = self.path.take();
        self.path = Some(Rc::new(Path { action, before }));
    }

    /// From here on a key pair may have been made in vain.
    fn wastes_keys(&mut self) {
        Rc::make_mut(&mut self.model).leniency.wasted_keys = true;
    }

    fn is_over(&self, task: TaskId, processes: &[Vec<Process>], before: usize) -> bool {
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

/// The states and how they follow each other. The first is before the beginning.
#[derive(Default)]
struct Graph {
    known: HashMap<u64, usize>,
    ways: Vec<Vec<usize>>,
    ends: Vec<bool>,
}

impl Graph {
    /// The node of a state, and whether it is new.
    fn enter(&mut self, state: &State) -> (usize, bool) {
        let mut digest = Digest::default();
        state.host.digest(&mut digest);
        state.model.digest(&mut digest);
        for caller in &state.callers {
            digest.number((caller.at as u64) << 32 | caller.place as u64);
        }
        for left in [state.crashes, state.faults, state.early_wakes] {
            digest.number(u64::from(left));
        }
        if let Some(left) = state.preemptions {
            digest.number(u64::from(left));
            digest.number(state.last.map_or(0, |last| 1 + last as u64));
        }
        let next = self.ways.len();
        let node = *self.known.entry(digest.value()).or_insert(next);
        if node == next {
            self.ways.push(Vec::new());
        }
        self.ends.resize(self.ways.len(), false);
        (node, node == next)
    }

    /// Counts the ways to the ends. The states form no circle, because every step is remembered.
    fn count(&self) -> Explored {
        let mut ways: Vec<Option<f64>> = vec![None; self.ways.len()];
        let mut stack = vec![0];
        while let Some(&node) = stack.last() {
            let unknown = self.ways[node].iter().find(|next| ways[**next].is_none());
            if let Some(&next) = unknown {
                stack.push(next);
                continue;
            }
            stack.pop();
            let below: f64 = self.ways[node].iter().filter_map(|next| ways[*next]).sum();
            ways[node] = Some(if self.ends[node] { 1.0 } else { below });
        }
        Explored {
            states: self.known.len() as u64,
            ends: self.ends.iter().filter(|end| **end).count() as u64,
            schedules: ways[0].unwrap_or(0.0),
        }
    }
}
