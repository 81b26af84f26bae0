//! Every schedule of two requests, on every kind of store.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anonymous_domains_simulation::{Behaviour, cases::Case};

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
            if let Err(failure) = case.explore(*behaviour, *trouble) {
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

/// Random schedules hardly ever come to this. The mutant `raise-any-epoch` fails with one
/// interruption more.
#[test]
fn a_departure_that_two_finish_changes_the_number_of_members_once() {
    let case = Case::finished_by_two();
    if let Err(failure) = case.explore(Behaviour::Contract, case.troubles[0]) {
        panic!("{failure}");
    }
}
