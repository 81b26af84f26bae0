//! Random schedules of the real logic on every kind of store, and whether broken rules are noticed.

use anonymous_domains::knobs::Mutation;
use anonymous_domains_simulation::{Behaviour, campaign::Campaign};

fn campaign(schedules: u64) -> Campaign {
    Campaign {
        schedules,
        seed: 1,
        behaviours: Behaviour::SUPPORTED.to_vec(),
        mutation: None,
        promise: "",
    }
}

#[test]
fn the_seven_hold_in_100_000_schedules_on_all_stores() {
    match campaign(100_000).run() {
        Ok(counts) => assert_eq!(counts.schedules, 100_000),
        Err(failure) => panic!("{failure}"),
    }
}

/// Each rule of the protocol, and the promise that does not hold without it
/// (docs/internals/simulation.md).
const NOTICED: &[(&str, &[Mutation])] = &[
    (
        "1: ",
        &[
            Mutation::IgnoreEpochs,
            Mutation::CountWithoutTakingOver,
            Mutation::IgnorePlaces,
            Mutation::KeepPlaces,
            Mutation::NoFence,
            Mutation::EndTwice,
        ],
    ),
    (
        "2: ",
        &[
            Mutation::AnySplit,
            Mutation::NameTwice,
            Mutation::SwapAlwaysWrites,
        ],
    ),
    (
        "3: ",
        &[
            Mutation::NeverProbe,
            Mutation::TrustRootSwap,
            Mutation::AnswerBeforeSave,
            Mutation::SaveAlways,
        ],
    ),
    (
        "4: ",
        &[
            Mutation::RemoveWithoutIntent,
            Mutation::CountDepartureEarly,
            Mutation::ForgetDeparture,
            Mutation::CoverLate,
            Mutation::ClearFlagFirst,
            Mutation::KnownForEver,
        ],
    ),
    (
        "5: ",
        &[
            Mutation::TrustFailedSwap,
            Mutation::UnknownIsLost,
            Mutation::NoRevisions,
            Mutation::WriteToFrozenLeaf,
        ],
    ),
    (
        "6: ",
        &[
            Mutation::AlwaysIncrement,
            Mutation::IncrementByOne,
            Mutation::JudgeProbeByValue,
            Mutation::AnyOwner,
            Mutation::EmptyBeforeNamed,
            Mutation::DiscardLosersPair,
            Mutation::ForgetPlaces,
            Mutation::NoTakeover,
            Mutation::UntimedClaim,
            Mutation::KeepClaim,
            Mutation::DiscardNamedRows,
            Mutation::RowsWrittenLate,
        ],
    ),
    ("7: ", &[Mutation::IgnoreClaims, Mutation::StaleVersion]),
];

/// A rule that random schedules hardly ever need: `exhaustive.rs` has it.
const ELSEWHERE: [Mutation; 1] = [Mutation::RaiseAnyEpoch];

#[test]
fn a_broken_rule_is_noticed_by_the_promise_it_is_for() {
    for &(promise, mutations) in NOTICED {
        for &mutation in mutations {
            let broken = Campaign {
                mutation: Some(mutation),
                promise,
                ..campaign(30_000)
            };
            assert!(
                broken.run().is_err(),
                "{mutation:?} breaks no promise {promise}"
            );
        }
    }
}

#[test]
fn every_rule_is_broken_by_a_test() {
    let broken = NOTICED.iter().flat_map(|(_, mutations)| *mutations);
    let broken: Vec<_> = broken.chain(&ELSEWHERE).collect();
    for mutation in Mutation::ALL {
        assert!(broken.contains(&mutation), "{mutation:?} is never broken");
    }
}
