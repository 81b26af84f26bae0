//! One random schedule, fixed by its seed.

use std::fmt;

use crate::{
    counts::Counts,
    execution::Execution,
    host::Host,
    instances::Instances,
    model::{Allowances, Model},
    random::Random,
    runtime::Runtime,
    scenario::{Options, Scenario},
    scheduler::Scheduler,
    store_model::StoreModel,
    violation::Violation,
};

/// A schedule with a violation.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed. `cargo xtask simulate --replay` runs the schedule again.
    pub seed: u64,
    /// The store.
    pub store: StoreModel,
    /// The violation.
    pub violation: Violation,
    /// The steps, if a trace was asked for.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "VIOLATED {}", self.violation)?;
        write!(
            f,
            "cargo xtask simulate --replay {} --store {}",
            self.seed, self.store
        )
    }
}

/// Runs the schedule of a seed.
///
/// # Errors
/// The first violation.
pub fn run(seed: u64, options: Options) -> Result<Counts, Box<Failure>> {
    draw(Random::new(seed), seed, options)
}

/// Runs the schedule that is chosen, number by number, in bytes: the scenario first, then each step
/// ([`Random::chosen`]). Whoever changes a few of the bytes gets a schedule that is much the same.
/// The bytes, and not the seed in the failure, repeat it.
///
/// # Errors
/// The first violation.
pub fn run_chosen(choices: &[u8], options: Options) -> Result<Counts, Box<Failure>> {
    draw(Random::chosen(choices), 0, options)
}

/// Runs the schedule that `random` draws; the seed is for all else that is drawn.
fn draw(mut random: Random, seed: u64, options: Options) -> Result<Counts, Box<Failure>> {
    let mut scenario = Scenario::draw(&mut random);
    // Also from numbers of its own.
    scenario.add_rotation(&mut Random::new(seed.rotate_left(32)));
    let host = Host::new(options.store, scenario.limits, options.defect);
    let runtime = Runtime::new(host, 0, seed, options.traced);
    runtime.trace(|| format!("{scenario:#?}"));
    let allowances = Allowances {
        forgotten_revisions: scenario.limits.revisions_kept < 32,
        unused_keys: !scenario.fault_rates.is_fault_free() || scenario.stragglers > 0,
    };
    let model = Model::new(scenario.domains, allowances);
    // The instances draw from numbers of their own, so that nothing else depends on their draws.
    let mut random_instances = Random::new(!seed);
    let instances = Instances {
        serving: vec![None; random_instances.pick(&[0, 0, 1, 1, 2, 3])],
        random: random_instances,
        short_lived_certificates: scenario.short_lived_certificates,
        wrong_owner: scenario.wrong_owner,
        stragglers: scenario.stragglers,
        rotated: false,
    };
    runtime.key_making_fails.set(scenario.key_making_fails);
    let execution = Execution::new(runtime, model, instances);
    let mut scheduler = Scheduler::new(execution, scenario, random);
    match scheduler.run() {
        Ok(()) => Ok(scheduler.counts()),
        Err(violation) => Err(Box::new(Failure {
            seed,
            store: options.store,
            violation,
            trace: scheduler.take_trace(),
        })),
    }
}
