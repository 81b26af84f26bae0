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
        5_629_267_371_925_967_858,
        Behaviour::Contract,
        Mutation::AnySplit,
    ),
    (
        "a key was made between a departure's count and the removal",
        7_155_338_201_267_914_011,
        Behaviour::SpinSqlite,
        Mutation::CountDepartureEarly,
    ),
    (
        "a probe was misjudged, because its first swap had met a fault",
        14_642_808_265_321_654_017,
        Behaviour::CosmosDb,
        Mutation::JudgeProbeByValue,
    ),
    (
        "the rows of a split that had been named were removed by their maker",
        7_293_713_710_295_693_997,
        Behaviour::SpinRedis,
        Mutation::DiscardLosersPair,
    ),
    (
        "a key was made for a version that another request had saved meanwhile",
        7_511_986_542_635_680_611,
        Behaviour::SpinSqlite,
        Mutation::StaleVersion,
    ),
    (
        "a machine that was about to leave was removed by an operator, and counted out twice",
        17_389_245_470_502_933_433,
        Behaviour::Contract,
        Mutation::EndTwice,
    ),
    (
        "a maximum was lowered while a place under the former one was taken",
        13_396_211_380_451_250_297,
        Behaviour::CosmosDb,
        Mutation::KeepPlaces,
    ),
    (
        "a leave died before its departure counted, and its next try was told that it is gone",
        4_774_579_946_780_540_762,
        Behaviour::CosmosDb,
        Mutation::ForgetDeparture,
    ),
    (
        "a maker was killed, and each request waited for it from its own beginning",
        6_163_423_405_676_850_642,
        Behaviour::SpinRedis,
        Mutation::UntimedClaim,
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
