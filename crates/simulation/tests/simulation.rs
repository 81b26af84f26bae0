//! Random schedules of the real logic on every kind of store, and whether broken rules are noticed.

use anonymous_domains::knobs::Mutation;
use anonymous_domains_simulation::{Behaviour, Options, campaign::Campaign, schedule};

fn campaign(schedules: u64, mutation: Option<Mutation>) -> Campaign {
    Campaign {
        schedules,
        seed: 1,
        behaviours: Behaviour::SUPPORTED.to_vec(),
        mutation,
    }
}

#[test]
fn the_seven_hold_in_100_000_schedules_on_all_stores() {
    match campaign(100_000, None).run() {
        Ok(counts) => assert_eq!(counts.schedules, 100_000),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn a_broken_rule_is_noticed() {
    // A gathering that mistakes the next one for its own needs two of them and a split in one
    // request's pause: too rare to be met by chance.
    let rare = [Mutation::AnyGathering];
    for &mutation in Mutation::ALL.iter().filter(|rule| !rare.contains(rule)) {
        assert!(
            campaign(20_000, Some(mutation)).run().is_err(),
            "nobody noticed {mutation:?}"
        );
    }
}

/// A schedule that failed once, and holds now.
fn holds(seed: u64, behaviour: Behaviour) {
    let options = Options {
        behaviour,
        mutation: None,
        traced: true,
    };
    if let Err(failure) = schedule::run(seed, options) {
        panic!("{failure}");
    }
}

#[test]
fn a_deletion_whose_root_could_not_be_erased_is_finished_later() {
    holds(15_072_618_788_704_505_012, Behaviour::Contract);
}
