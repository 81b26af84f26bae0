//! Every schedule of a few requests: every interleaving of their calls, and every crash and fault
//! of a number that is given.
//!
//! Two schedules that lead to the same store, the same place of every request and the same model
//! have the same future, and only one of them is followed further. Time is left out: a sleeper
//! wakes when nobody else can go on, and a number of times at any moment.
//!
//! A request begins with its first call, its answer arrives with its last, and it crashes right
//! after a write: other moments give the model less to ask for, and others nothing else to see.

mod explorer;
mod graph;
mod state;

use std::{fmt, rc::Rc};

use anonymous_domains::store::rows::Limits;

use crate::{
    behaviour::Behaviour,
    host::{Fault, Host, TaskId},
    model::{Leniency, Model, Violation},
    operation::Op,
    run::{Instances, Next, Run},
    world::World,
};
use explorer::Explorer;
use state::{Action, Path};

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

impl Exploration {
    /// Follows every schedule.
    pub fn explore(&self) -> Result<Explored, Box<Failure>> {
        Explorer::new(self).and_then(Explorer::follow)
    }

    /// What is done before.
    fn begin(&self, traced: bool) -> Result<Run, Box<Failure>> {
        let limits = Limits {
            leaf_entries: self.leaf_entries,
            branch_children: 3,
            ..Limits::default()
        };
        let world = World::new(Host::new(self.behaviour, limits, None), 0, SEED, traced);
        let ops = || self.callers.iter().flatten().chain(&self.before);
        let domains = 1 + ops().map(Op::domain).max().unwrap_or(0);
        let mut run = Run::new(
            world,
            Model::new(domains, Leniency::default()),
            Instances::one_each(),
        );
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
    run.finish(machines, domains, false)?;
    run.pause();
    run.finish(machines, domains, true)?;
    run.check_quiet(machines, domains)
}
