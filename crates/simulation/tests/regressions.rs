//! Schedules that failed once hold.
//!
//! Each is named in the mutant (`mutants/*.patch`) that makes it fail again. `cargo xtask mutants`
//! checks that it does.

use std::{fs, path::Path};

use anonymous_domains_simulation::{Options, schedule};

#[test]
fn schedules_that_failed_once_hold() {
    let mutants = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
    let mut count = 0;
    for file in fs::read_dir(mutants).unwrap() {
        let path = file.unwrap().path();
        let patch = fs::read_to_string(&path).unwrap();
        let Some(replay) = patch.lines().find_map(|line| line.strip_prefix("Replay: ")) else {
            continue;
        };
        let (seed, store) = replay.split_once(' ').expect("a seed and a store");
        let options = Options {
            store: store.parse().unwrap(),
            defect: None,
            traced: true,
        };
        if let Err(failure) = schedule::run(seed.parse().unwrap(), options) {
            panic!("{failure}\n{}", path.display());
        }
        count += 1;
    }
    assert_ne!(count, 0, "no mutant names a schedule");
}
