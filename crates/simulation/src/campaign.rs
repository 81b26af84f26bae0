//! Many schedules, on all processors.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    behaviour::Behaviour,
    host::Defect,
    random::mix,
    scenario::Options,
    schedule::{self, Counts, Failure},
};

/// Which schedules to run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// How many.
    pub schedules: u64,
    /// Fixes all of them.
    pub seed: u64,
    /// The stores, in turn.
    pub behaviours: Vec<Behaviour>,
    /// A defect that no supported store has.
    pub defect: Option<Defect>,
    /// Only violations that begin with this count: the number of a promise.
    pub promise: String,
}

impl Campaign {
    /// The seed and the store of one of the schedules.
    pub fn schedule(&self, nth: u64) -> (u64, Behaviour) {
        let seed = mix(mix(self.seed) ^ nth);
        let behaviour = self.behaviours[nth as usize % self.behaviours.len()];
        (seed, behaviour)
    }

    /// Runs the schedules until one fails; of several that fail, gives the earliest, with a trace.
    ///
    /// # Errors
    /// What did not hold.
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
                let (seed, behaviour) = self.schedule(nth);
                match schedule::run(seed, self.options(behaviour, false)) {
                    Ok(more) => counts.add(&more),
                    Err(other) if !other.violation.starts_with(&self.promise) => {}
                    Err(_) => {
                        stop.store(true, Ordering::Relaxed);
                        failed = Some(nth);
                    }
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
        let (seed, behaviour) = self.schedule(nth);
        Err(schedule::run(seed, self.options(behaviour, true))
            .expect_err("a schedule fails whenever it is run"))
    }

    fn options(&self, behaviour: Behaviour, traced: bool) -> Options {
        Options {
            behaviour,
            defect: self.defect,
            traced,
        }
    }
}
