//! Whole sequences of requests, with faults and crashes in between, against the simulation's model.

use anonymous_domains_simulation::{Options, Random, StoreModel, schedule};

use super::Target;
use crate::input;

/// The first byte chooses the store, the rest the scenario and each step of its schedule: which
/// machines and operators there are and what they ask, which faults there are, who goes on next.
pub const SEQUENCES: Target = Target {
    name: "sequences",
    about: "sequences of requests with faults, against the simulation's model",
    run,
    seeds,
    mutations: 300,
};

fn run(bytes: &[u8]) {
    let (store, choices) = input::pick(&StoreModel::SUPPORTED, bytes);
    let options = |traced| Options {
        store: *store,
        defect: None,
        traced,
    };
    if schedule::run_chosen(choices, options(false)).is_err() {
        let failure = schedule::run_chosen(choices, options(true));
        panic!("{}", failure.expect_err("it failed before"));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut random = Random::new(1);
    let seed = |number: usize| {
        let mut bytes = vec![0; 1 + 64 * (number % 8)];
        random.fill(&mut bytes);
        bytes
    };
    (0..24).map(seed).collect()
}
