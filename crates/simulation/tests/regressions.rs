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
        13_020_974_215_539_023_955,
        Behaviour::SpinRedis,
        Mutation::AnySplit,
    ),
    (
        "a key was made between a departure's count and the removal",
        3_159_804_449_058_717_363,
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
        5_959_183_397_561_356_932,
        Behaviour::SpinRedis,
        Mutation::DiscardLosersPair,
    ),
    (
        "a key was made for a version that another request had saved meanwhile",
        14_037_355_152_533_069_497,
        Behaviour::Contract,
        Mutation::StaleVersion,
    ),
    (
        "a machine that was about to leave was removed by an operator, and counted out twice",
        13_371_994_136_550_401_011,
        Behaviour::SpinSqlite,
        Mutation::EndTwice,
    ),
    (
        "a maximum was lowered while a place under the former one was taken",
        10_508_570_986_099_966_694,
        Behaviour::SpinSqlite,
        Mutation::KeepPlaces,
    ),
    (
        "a leave died before its departure counted, and its next try was told that it is gone",
        10_556_238_939_403_845_422,
        Behaviour::SpinSqlite,
        Mutation::ForgetDeparture,
    ),
    (
        "a maker was killed, and each request waited for it from its own beginning",
        17_995_007_906_407_740_620,
        Behaviour::Contract,
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
