//! Every schedule of two requests, on every supported store.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anonymous_domains_simulation::{StoreModel, cases::Case};

#[test]
fn the_guarantees_hold_in_every_schedule_of_two_requests_on_all_stores() {
    let mut todo = Vec::new();
    for case in Case::all() {
        for bounds in &case.bounds {
            let stores = StoreModel::SUPPORTED.iter();
            todo.extend(stores.map(|store| (case.clone(), *bounds, *store)));
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((case, bounds, store)) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = case.explore(*store, *bounds) {
                panic!("{failure}\n{store}, {}, {bounds}", case.name);
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

/// Random schedules hardly ever reach this. The mutant `raise-any-epoch` fails with one more
/// preemption.
#[test]
fn a_departure_that_two_requests_finish_changes_the_number_of_members_once() {
    let case = Case::finished_by_two();
    if let Err(failure) = case.explore(StoreModel::Contract, case.bounds[0]) {
        panic!("{failure}");
    }
}
