//! Many schedules, each with its own seed, on all processors.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use anonymous_domains_testkit::Guarantee;

use crate::{
    counts::Counts,
    host::Defect,
    random::mix,
    scenario::Options,
    schedule::{self, Failure},
    store_model::StoreModel,
};

/// A sweep over the schedules of many seeds.
#[derive(Debug, Clone)]
pub struct SeedSweep {
    /// How many schedules.
    pub schedules: u64,
    /// The seed from which the seeds of the schedules are derived.
    pub seed: u64,
    /// The stores, in turn.
    pub stores: Vec<StoreModel>,
    /// A defect that no supported store has.
    pub defect: Option<Defect>,
    /// Stop only at a violation of this guarantee. By default, at any violation.
    pub guarantee: Option<Guarantee>,
}

impl SeedSweep {
    /// The seed and the store of one of the schedules.
    pub fn schedule(&self, nth: u64) -> (u64, StoreModel) {
        let seed = mix(mix(self.seed) ^ nth);
        let store = self.stores[nth as usize % self.stores.len()];
        (seed, store)
    }

    /// Runs the schedules until one fails.
    ///
    /// # Errors
    /// The failure with its trace. If several schedules fail, the earliest of them.
    pub fn run(&self) -> Result<Counts, Box<Failure>> {
        let next = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let total = Mutex::new((Counts::default(), None::<u64>));
        let work = || {
            let mut counts = Counts::default();
            let mut failed = None;
            while !stop.load(Ordering::Relaxed) {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= self.schedules {
                    break;
                }
                let (seed, store) = self.schedule(nth);
                match schedule::run(seed, self.options(store, false)) {
                    Ok(more) => counts.add(&more),
                    Err(failure) if self.stops_at(&failure) => {
                        stop.store(true, Ordering::Relaxed);
                        failed = Some(nth);
                    }
                    Err(_) => {}
                }
            }
            if let Ok(mut total) = total.lock() {
                total.0.add(&counts);
                total.1 = [total.1, failed].into_iter().flatten().min();
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let (counts, failed) = total.into_inner().unwrap_or_default();
        let Some(nth) = failed else {
            return Ok(counts);
        };
        let (seed, store) = self.schedule(nth);
        Err(schedule::run(seed, self.options(store, true))
            .expect_err("a schedule that failed fails in every run"))
    }

    fn stops_at(&self, failure: &Failure) -> bool {
        self.guarantee.is_none() || failure.violation.guarantee == self.guarantee
    }

    fn options(&self, store: StoreModel, traced: bool) -> Options {
        Options {
            store,
            defect: self.defect,
            traced,
        }
    }
}
