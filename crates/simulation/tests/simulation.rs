//! Random schedules of the real code, on every supported store.

use anonymous_domains_simulation::{Defect, Guarantee, StoreModel, seed_sweep::SeedSweep};

fn sweep(schedules: u64) -> SeedSweep {
    SeedSweep {
        schedules,
        seed: 1,
        stores: StoreModel::SUPPORTED.to_vec(),
        defect: None,
        guarantee: None,
    }
}

#[test]
fn the_guarantees_hold_in_100_000_schedules_on_all_stores() {
    match sweep(100_000).run() {
        Ok(counts) => assert_eq!(counts.schedules, 100_000),
        Err(failure) => panic!("{failure}"),
    }
}

/// What docs/internals/hosts.md requires of a store is necessary.
#[test]
fn a_store_that_cannot_be_supported_is_detected() {
    for (defect, guarantee) in [
        (Defect::SwapAlwaysWrites, Guarantee::Membership),
        (Defect::LateWrites, Guarantee::Recovery),
    ] {
        let on_such_stores = SeedSweep {
            defect: Some(defect),
            guarantee: Some(guarantee),
            ..sweep(30_000)
        };
        let detected = on_such_stores.run().is_err();
        assert!(detected, "{defect:?} does not violate {guarantee:?}");
    }
}
