//! Random schedules of the real logic on every kind of store.

use anonymous_domains_simulation::{Behaviour, Defect, campaign::Campaign};

fn campaign(schedules: u64) -> Campaign {
    Campaign {
        schedules,
        seed: 1,
        behaviours: Behaviour::SUPPORTED.to_vec(),
        defect: None,
        promise: String::new(),
    }
}

#[test]
fn the_seven_hold_in_100_000_schedules_on_all_stores() {
    match campaign(100_000).run() {
        Ok(counts) => assert_eq!(counts.schedules, 100_000),
        Err(failure) => panic!("{failure}"),
    }
}

/// What docs/hosts.md asks of a store is asked for a reason.
#[test]
fn a_store_that_cannot_be_supported_is_noticed() {
    for (defect, promise) in [
        (Defect::SwapAlwaysWrites, "2: "),
        (Defect::LateWrites, "6: "),
    ] {
        let on_such_stores = Campaign {
            defect: Some(defect),
            promise: promise.to_owned(),
            ..campaign(30_000)
        };
        let noticed = on_such_stores.run().is_err();
        assert!(noticed, "{defect:?} breaks no promise {promise}");
    }
}
