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
        15_087_268_173_449_021_159,
        Behaviour::SpinRedis,
        Mutation::AnySplit,
    ),
    (
        "a key was made between a departure's count and the removal",
        6_662_369_337_186_399_737,
        Behaviour::SpinSqlite,
        Mutation::RaiseOnce,
    ),
    (
        "a deletion could not be finished, because the leaves were gone and the root was not",
        14_778_995_650_201_940_386,
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
        10_803_243_837_905_565_216,
        Behaviour::SpinRedis,
        Mutation::DiscardLosersPair,
    ),
    (
        "a key was made for a version that another request had saved meanwhile",
        526_691_968_791_597_689,
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
