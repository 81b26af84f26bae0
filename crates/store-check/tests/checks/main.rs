//! The checks on model stores: every finding of the table is made where its defect is, and the verdict
//! follows what the server tolerates.

mod model;
mod readme;
mod requests;

use model::{
    Defect::{self, *},
    Model, TooLarge,
};
use store_check::{
    check,
    finding::{Effect, Finding},
    report::{Outcome, Report, Verdict},
    run,
};

const KIB: usize = 1024;

/// A model, and what a check finds in it. Those of [`Finding::Instances*`](Finding) and `Restart*` are
/// in [`requests`].
const FOUND: &[(&[Defect], Finding)] = &[
    (&[], Finding::BucketOpened),
    (&[Closed], Finding::BucketClosed),
    (&[], Finding::ValuesKept),
    (&[Texts], Finding::ValuesChanged),
    (&[WritesOnce], Finding::ValuesChanged),
    (&[], Finding::KeysDistinct),
    (&[ShortKeys], Finding::KeysConfused),
    (&[], Finding::SwapTrue),
    (&[SaysFailed], Finding::SwapSaysFailed),
    (&[SaysWon], Finding::SwapSaysWon),
    (&[WritesNothing], Finding::SwapWritesNothing),
    (&[], Finding::LostSwapFails),
    (&[SaysFailed], Finding::LostSwapFails),
    (&[LoserSaysWon], Finding::LostSwapSaysWon),
    (&[Overwrites], Finding::LostSwapWrites),
    (&[Overwrites, SaysFailed], Finding::LostSwapWrites),
    (&[OverwritesFromOther], Finding::LostSwapWrites),
    (&[], Finding::RetryTrue),
    (&[SaysFailed], Finding::RetryTrue),
    (&[NoRetry], Finding::RetryNone),
    (&[LoserSaysWon], Finding::RetryNone),
    (&[StaleRetry], Finding::RetryStale),
    (&[OverwritingRetry], Finding::RetryWrites),
    (&[], Finding::EqualBytesFail),
    (&[ComparesBytes], Finding::EqualBytesPass),
    (&[], Finding::CreatorsFirst),
    (&[SaysFailed], Finding::CreatorsFirst),
    (&[LateCreatorSaysWon], Finding::CreatorsFirstAll),
    (&[CreatorsOverwrite], Finding::CreatorsLast),
    (&[CreatorsOverwriteUntold], Finding::CreatorsLastUntold),
    (
        &[CreatorsOverwrite, SaysFailed],
        Finding::CreatorsLastUntold,
    ),
    (&[CreatesNothing], Finding::CreatorsNone),
    (&[], Finding::RootCellUnneeded),
    (&[CreatorsOverwrite], Finding::RootCellHolds),
    (
        &[CreatorsOverwrite, IncrementReplaces],
        Finding::RootCellBreaks,
    ),
    (
        &[CreatorsOverwrite, IncrementByZeroCreatesNothing],
        Finding::RootCellBreaks,
    ),
    (&[CreatorsOverwrite, Overwrites], Finding::RootCellBreaks),
    (&[], Finding::IncrementAdds),
    (&[IncrementIsLate], Finding::IncrementWrong),
    (&[IncrementFails], Finding::IncrementFails),
    (&[], Finding::SizesLarge),
    (&[], Finding::ReadsFresh),
    (&[SaysFailed], Finding::ReadsFresh),
    (&[StaleReads], Finding::ReadsStale),
    (&[StaleAfterSwap], Finding::ReadsStale),
    (&[StaleAfterSwap, SaysFailed], Finding::ReadsStale),
];

/// The same for stores that do not take every value.
const FOUND_LIMITED: &[(usize, TooLarge, Finding)] = &[
    (1024 * KIB, TooLarge::Refused, Finding::SizesLarge),
    (1024 * KIB - 1, TooLarge::Refused, Finding::SizesMiddle),
    (256 * KIB - 1, TooLarge::Refused, Finding::SizesSmall),
    (64 * KIB - 1, TooLarge::Refused, Finding::SizesTooSmall),
    (1024 * KIB - 1, TooLarge::Cut, Finding::SizesDamaged),
    (64 * KIB - 1, TooLarge::Cut, Finding::SizesDamaged),
];

fn outcome(outcomes: &[Outcome], finding: Finding) -> &Outcome {
    let name = finding.check().name();
    let found = outcomes.iter().find(|outcome| outcome.check == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn each_finding_is_made_where_its_defect_is() {
    for (defects, finding) in FOUND {
        let outcomes = check::all(&Model::with(defects));
        let found = outcome(&outcomes, *finding);
        assert_eq!(found.finding, finding.name(), "{defects:?}: {found:?}");
        assert_eq!(found.effect, finding.effect(), "{defects:?}");
    }
    for (bytes, too_large, finding) in FOUND_LIMITED {
        let model = Model::limited(&[], Some((*bytes, *too_large)));
        let outcomes = check::all(&model);
        let found = outcome(&outcomes, *finding);
        assert_eq!(found.finding, finding.name(), "{bytes}: {found:?}");
    }
}

#[test]
fn no_finding_is_without_a_test() {
    let here = FOUND.iter().map(|(_, finding)| finding);
    let here: Vec<_> = here
        .chain(FOUND_LIMITED.iter().map(|(_, _, finding)| finding))
        .chain(requests::FINDINGS)
        .collect();
    for finding in Finding::ALL {
        assert!(here.contains(&finding), "{finding:?} is found in no test");
    }
}

/// What the first request would say.
fn verdict(defects: &[Defect]) -> (Verdict, Vec<String>) {
    let host = Model::with(defects);
    let mut outcomes = check::all(&host);
    outcomes.extend(run::begin(&host).outcomes);
    let bad = |outcome: &&Outcome| outcome.effect == Effect::Unsafe;
    let bad = outcomes.iter().filter(bad);
    let bad = bad.map(|outcome| format!("{}: {}", outcome.check, outcome.finding));
    let bad = bad.collect();
    (Report::new(outcomes, Vec::new()).verdict, bad)
}

#[test]
fn the_stores_that_the_server_supports_are_safe() {
    let none = Vec::<String>::new();
    assert_eq!(verdict(&[]), (Verdict::Yes, none.clone()));
    // Spin's SQLite, its Redis, Cosmos DB, whose numbers cannot be read, and DynamoDB.
    let sqlite = [CreatorsOverwrite, ComparesBytes];
    assert_eq!(verdict(&sqlite), (Verdict::Yes, none.clone()));
    assert_eq!(verdict(&[SaysFailed]), (Verdict::Conditions, none.clone()));
    assert_eq!(verdict(&[IncrementIsLate]), (Verdict::Yes, none.clone()));
    assert_eq!(verdict(&[IncrementFails]), (Verdict::Yes, none));
}

#[test]
fn a_store_with_any_other_defect_is_not() {
    // Not NoRetry: the server's own test of a store needs the handle that a failed swap returns.
    let tolerated = [
        ComparesBytes,
        CreatorsOverwrite,
        LateCreatorSaysWon,
        IncrementIsLate,
        IncrementFails,
        SaysFailed,
        // Only where creators overwrite.
        IncrementReplaces,
        IncrementByZeroCreatesNothing,
        // For a restart to find.
        InMemory,
    ];
    for defect in Defect::ALL {
        let (verdict, bad) = verdict(&[*defect]);
        let expected = tolerated.contains(defect);
        assert_eq!(verdict != Verdict::No, expected, "{defect:?}: {bad:?}");
    }
}

#[test]
fn a_passing_error_is_not_held_against_a_store() {
    for defects in [&[][..], &[CreatorsOverwrite], &[SaysFailed]] {
        let model = Model::with(defects);
        check::all(&model);
        for nth in 1..=model.swaps() {
            let model = Model::with(defects);
            model.fail_swap(nth);
            let outcomes = check::all(&model);
            let bad = outcomes.iter().find(|it| it.effect == Effect::Unsafe);
            assert_eq!(bad, None, "{defects:?}: swap {nth}");
        }
    }
}

#[test]
fn an_error_is_shown_and_counts() {
    let outcomes = check::all(&Model::with(&[Broken]));
    let values = outcomes.iter().find(|outcome| outcome.check == "values");
    let values = values.unwrap();
    assert_eq!((values.finding, values.effect), ("error", Effect::Unsafe));
    assert_eq!(values.seen, "the disk is full");
}

#[test]
fn the_checks_leave_nothing_behind() {
    let model = Model::with(&[]);
    check::all(&model);
    assert_eq!(model.keys(), [""; 0]);
}
