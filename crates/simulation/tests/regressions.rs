//! Schedules that failed once: each fails without its rule, and holds with it.
//!
//! `cargo xtask simulate --replay SEED --behaviour STORE [--broken RULE]` shows one.

use anonymous_domains::knobs::Mutation;
use anonymous_domains_simulation::{Behaviour, Options, schedule};

/// What happened, its seed and store, and the rule that keeps it from happening again.
type Regression = (&'static str, u64, Behaviour, Mutation);

const REGRESSIONS: &[Regression] = &[
    (
        "a root was split again while a helper of the first split was late",
        7_816_238_752_227_127_052,
        Behaviour::SpinRedis,
        Mutation::AnySplit,
    ),
    (
        "a key was made between a departure's count and the removal",
        9_148_091_358_424_131_912,
        Behaviour::SpinSqlite,
        Mutation::RaiseOnce,
    ),
    (
        "a deletion could not be finished, because the leaves were gone and the root was not",
        18_180_631_933_784_915_271,
        Behaviour::SpinSqlite,
        Mutation::EraseRootLast,
    ),
    (
        "a probe was misjudged, because its first swap had met a fault",
        9_010_825_684_661_324_591,
        Behaviour::CosmosDb,
        Mutation::JudgeProbeByValue,
    ),
    (
        "the rows of a split that had been named were removed by their maker",
        11_447_569_245_679_889_710,
        Behaviour::SpinRedis,
        Mutation::DiscardLosersPair,
    ),
    (
        "a key was made for a version that another request had saved meanwhile",
        3_041_745_065_926_643_974,
        Behaviour::CosmosDb,
        Mutation::StaleVersion,
    ),
];

fn options(behaviour: Behaviour, mutation: Option<Mutation>) -> Options {
    Options {
        behaviour,
        mutation,
        traced: true,
    }
}

#[test]
fn what_failed_once_holds() {
    for &(name, seed, behaviour, _) in REGRESSIONS {
        if let Err(failure) = schedule::run(seed, options(behaviour, None)) {
            panic!("{failure}\n{name}");
        }
    }
}

#[test]
fn what_failed_once_fails_without_its_rule() {
    for &(name, seed, behaviour, rule) in REGRESSIONS {
        let result = schedule::run(seed, options(behaviour, Some(rule)));
        assert!(result.is_err(), "{name}: nobody noticed {rule:?}");
    }
}
