//! What is explored: the requests, and the bounds.

use std::fmt;

use anonymous_domains::store::rows::Limits;

use crate::{
    execution::Execution,
    host::Host,
    instances::Instances,
    model::{Allowances, Model},
    operation::Op,
    runtime::Runtime,
    store_model::StoreModel,
    violation::Violation,
};

/// The seed of the requests' random numbers.
pub const SEED: u64 = 1;

/// An exploration.
#[derive(Debug, Clone)]
pub struct Exploration {
    pub store: StoreModel,
    /// The requests that run first, one after the other and without faults.
    pub before: Vec<Op>,
    /// The requests of each caller, one after the other.
    pub callers: Vec<Vec<Op>>,
    pub leaf_entries: usize,
    /// The most crashes.
    pub crashes: u8,
    /// The most faults of calls.
    pub faults: u8,
    /// The most times that a sleeping request wakes although others can run, as if they were slow.
    pub early_wakes: u8,
    /// The most preemptions: switches away from a request that can run. `None` is no bound.
    pub preemptions: Option<u8>,
}

/// A schedule with a violation.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The violation.
    pub violation: Violation,
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

impl Exploration {
    /// Runs the requests that run first.
    pub fn begin(&self, traced: bool) -> Result<Execution, Box<Failure>> {
        let limits = Limits {
            leaf_entries: self.leaf_entries,
            branch_children: 3,
            ..Limits::default()
        };
        let host = Host::new(self.store, limits, None);
        let runtime = Runtime::new(host, 0, SEED, traced);
        let ops = || self.callers.iter().flatten().chain(&self.before);
        let domains = 1 + ops().map(Op::domain).max().unwrap_or(0);
        let mut execution = Execution::new(
            runtime,
            Model::new(domains, Allowances::default()),
            Instances::one_each(),
        );
        for op in &self.before {
            if let Err(violation) = execution.run_alone(op.clone()) {
                let trace = execution.runtime.take_trace();
                return Err(Box::new(Failure { violation, trace }));
            }
        }
        Ok(execution)
    }
}

/// The checks of a state in which no request can run.
pub fn check_end(execution: &mut Execution) -> Result<(), Violation> {
    let machines = 1 + (0..8).filter(|it| execution.knows(*it)).max().unwrap_or(0);
    let domains = execution.model.domains();
    execution.register_all(machines, domains, false)?;
    execution.finish_rotation()?;
    execution.wait_long();
    execution.register_all(machines, domains, true)?;
    execution.check_end(machines, domains)
}
