//! Every schedule of two requests, on every kind of store.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anonymous_domains::knobs::Mutation;
use anonymous_domains_simulation::{
    Behaviour,
    cases::{Case, Trouble},
};

#[test]
fn the_seven_hold_in_every_schedule_of_two_requests_on_all_stores() {
    let mut todo = Vec::new();
    for case in Case::all() {
        for trouble in &case.troubles {
            let behaviours = Behaviour::SUPPORTED.iter();
            todo.extend(behaviours.map(|behaviour| (case.clone(), *trouble, *behaviour)));
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((case, trouble, behaviour)) = todo.get(next.fetch_add(1, Ordering::Relaxed))
        {
            if let Err(failure) = case.explore(*behaviour, *trouble, None) {
                panic!("{failure}\n{}, {trouble:?}, {behaviour}", case.name);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

/// Explores a case without a rule, and gives what does not hold then.
fn violation(name: &str, trouble: Trouble, mutation: Mutation) -> String {
    let cases = Case::all();
    let case = cases.iter().find(|case| case.name == name);
    let case = case.expect("there is such a case");
    let with = *case
        .troubles
        .iter()
        .find(|(with, _)| *with == trouble)
        .expect("the case is explored with it");
    let result = case.explore(Behaviour::Contract, with, Some(mutation));
    result.expect_err("it is noticed").violation
}

#[test]
fn a_gathering_that_is_taken_for_the_next_one_loses_a_member() {
    let violation = violation("gather: overtaken", Trouble::None, Mutation::AnyGathering);
    assert!(violation.starts_with("2: "), "{violation}");
}

#[test]
fn a_deletion_that_crashes_before_the_root_is_erased_is_never_finished() {
    let violation = violation(
        "split: delete, join",
        Trouble::Crashes,
        Mutation::EraseRootLast,
    );
    assert!(violation.starts_with("6: "), "{violation}");
}
