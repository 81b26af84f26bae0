//! Every schedule of a few requests: every interleaving of their calls, and every crash and fault
//! of a number that is given.
//!
//! What a request does next depends only on what it was answered, so two schedules that lead to the
//! same store, the same answers and the same model have the same future, and only one of them is
//! followed further. Time is left out: a sleeper may wake at any moment, or, where `patient`, when
//! nobody else can go on.

use std::{collections::HashMap, fmt, rc::Rc};

use anonymous_domains::knobs::{self, Knobs, Mutation};

use crate::{
    behaviour::Behaviour,
    model::{Leniency, Model, Violation},
    operation::Op,
    run::{Next, Run},
    view::Views,
    world::{Fault, Kind, TaskId, World},
};

/// What to explore.
#[derive(Debug, Clone)]
pub(crate) struct Exploration {
    pub behaviour: Behaviour,
    /// Done one after the other before, while nothing happens.
    pub before: Vec<Op>,
    /// What each caller asks for, one after the other.
    pub callers: Vec<Vec<Op>>,
    pub crashes: u8,
    pub faults: u8,
    /// Whether nobody's patience runs out while somebody can go on.
    pub patient: bool,
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
const MOST_STATES: usize = 3_000_000;

/// What the scheduler can do.
#[derive(Debug, Clone, Copy)]
enum Action {
    Step(usize, Fault),
    Crash(usize),
    Settle(usize, bool),
}

/// A caller's requests, and which of them is under way or next.
#[derive(Debug, Clone)]
struct Caller {
    tasks: Vec<TaskId>,
    at: usize,
}

impl Caller {
    fn task(&self) -> Option<TaskId> {
        self.tasks.get(self.at).copied()
    }
}

struct State {
    run: Run,
    callers: Vec<Caller>,
    crashes: u8,
    faults: u8,
}

impl Exploration {
    /// Follows every schedule.
    pub fn explore(&self) -> Result<Explored, Box<Failure>> {
        knobs::turn(Knobs {
            leaf_entries: 2,
            branch_children: 3,
            revisions_kept: 32,
            broken: self.mutation,
        });
        let result = self.begin().and_then(|base| self.follow(&base));
        knobs::turn(Knobs::default());
        result
    }

    fn begin(&self) -> Result<Run, Box<Failure>> {
        let world = World::new(self.behaviour, 1, true);
        let leniency = Leniency {
            forgetful_rows: false,
            wasted_keys: !self.patient || self.crashes + self.faults > 0,
        };
        let ops = || self.callers.iter().flatten().chain(&self.before);
        let domains = 1 + ops().map(Op::domain).max().unwrap_or(0);
        let mut run = Run::new(world, Model::new(domains, leniency), false);
        for op in &self.before {
            if let Err(violation) = run.run_alone(op.clone()) {
                let trace = run.world.take_trace();
                return Err(Box::new(Failure { violation, trace }));
            }
        }
        Ok(run)
    }

    fn state(&self, base: &Run, traced: bool, views: &Rc<Views>) -> State {
        let mut run = base.fork(traced, views);
        let callers = self.callers.iter().map(|ops| Caller {
            tasks: ops.iter().map(|op| run.add(op.clone())).collect(),
            at: 0,
        });
        let callers = callers.collect();
        State {
            run,
            callers,
            crashes: self.crashes,
            faults: self.faults,
        }
    }

    fn follow(&self, base: &Run) -> Result<Explored, Box<Failure>> {
        let mut graph = Graph::default();
        let views = Rc::default();
        let mut todo: Vec<(Vec<Action>, usize)> = vec![(Vec::new(), 0)];
        graph.ways.push(Vec::new());
        while let Some((mut path, mut from)) = todo.pop() {
            let mut state = self.state(base, false, &views);
            let result = path
                .iter()
                .try_for_each(|action| state.apply(*action))
                .and_then(|()| {
                    loop {
                        let mut actions = self.actions(&state);
                        if let [only] = actions[..] {
                            path.push(only);
                            state.apply(only)?;
                            continue;
                        }
                        let (node, is_new) = graph.enter(&state);
                        graph.ways[from].push(node);
                        if !is_new {
                            return Ok(());
                        }
                        let Some(first) = actions.pop() else {
                            graph.ends[node] = true;
                            return state.finish();
                        };
                        for action in actions {
                            let mut other = path.clone();
                            other.push(action);
                            todo.push((other, node));
                        }
                        path.push(first);
                        from = node;
                        state.apply(first)?;
                    }
                });
            if result.is_err() || graph.ends.len() > MOST_STATES {
                return Err(self.explain(base, &path));
            }
        }
        Ok(graph.count())
    }

    /// The same schedule again, with a trace.
    fn explain(&self, base: &Run, path: &[Action]) -> Box<Failure> {
        let mut state = self.state(base, true, &Rc::default());
        let result = path
            .iter()
            .try_for_each(|action| state.apply(*action))
            .and_then(|()| state.finish());
        Box::new(Failure {
            violation: result.err().unwrap_or_else(|| "too many states".to_owned()),
            trace: state.run.world.take_trace(),
        })
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let run = &state.run;
        let mut actions = Vec::new();
        let asleep = |task| matches!(run.next(task), Next::Wake(_));
        let all_sleep = state.callers.iter().filter_map(Caller::task).all(asleep);
        // What no other request can notice or disturb goes first: its moment makes no difference.
        let private = state.callers.iter().position(|caller| {
            let task = caller.task();
            task.is_some_and(|task| run.is_private(task) || (asleep(task) && !self.patient))
        });
        for (nth, caller) in state.callers.iter().enumerate() {
            let Some(task) = caller.task() else {
                continue;
            };
            if private.is_some_and(|private| private != nth) {
                continue;
            }
            if !asleep(task) || !self.patient || all_sleep {
                actions.push(Action::Step(nth, Fault::None));
            }
            let Next::Call(kind) = run.next(task) else {
                if state.crashes > 0 && run.has_answer(task) {
                    actions.push(Action::Crash(nth));
                }
                continue;
            };
            if state.crashes > 0 && private.is_none() {
                actions.push(Action::Crash(nth));
            }
            if state.faults > 0 {
                let faults = faults(kind, self.behaviour);
                actions.extend(faults.iter().map(|fault| Action::Step(nth, *fault)));
            }
        }
        for nth in 0..run.world.delayed.borrow().len() {
            actions.push(Action::Settle(nth, true));
            actions.push(Action::Settle(nth, false));
        }
        actions
    }
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

impl State {
    fn apply(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::Step(nth, fault) => {
                if fault != Fault::None {
                    self.faults -= 1;
                }
                let Some(task) = self.callers[nth].task() else {
                    return Ok(());
                };
                if self.run.step(task, fault)?.is_some() {
                    self.callers[nth].at += 1;
                }
            }
            Action::Crash(nth) => {
                self.crashes -= 1;
                if let Some(task) = self.callers[nth].task() {
                    self.run.crash(task);
                    self.callers[nth].at += 1;
                }
            }
            Action::Settle(nth, applies) => self.run.settle(nth, applies)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Violation> {
        let machines = 1
            + (0..8)
                .filter(|machine| self.run.knows(*machine))
                .max()
                .unwrap_or(0);
        let domains = self.run.model.domains();
        self.run.finish(machines, domains)
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
        let mut digest = state.run.digest();
        for caller in &state.callers {
            digest.number(caller.at as u64);
        }
        digest.number(u64::from(state.crashes) * 256 + u64::from(state.faults));
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
            if ways[node].is_some() {
                stack.pop();
                continue;
            }
            let before = stack.len();
            stack.extend(self.ways[node].iter().filter(|next| ways[**next].is_none()));
            if stack.len() > before {
                continue;
            }
            let further: f64 = self.ways[node].iter().filter_map(|next| ways[*next]).sum();
            ways[node] = Some(further + f64::from(u8::from(self.ends[node])));
            stack.pop();
        }
        Explored {
            states: self.ways.len() as u64 - 1,
            ends: self.ends.iter().filter(|is_end| **is_end).count() as u64,
            schedules: ways[0].unwrap_or(0.0),
        }
    }
}
