//! [`Environment`] in simulated time, with random numbers from the seed.

use std::rc::Rc;

use anonymous_domains::environment::Environment;

use crate::runtime::{Runtime, TaskStatus};

/// The environment of a request.
#[derive(Debug, Clone)]
pub struct SimEnvironment {
    pub runtime: Rc<Runtime>,
}

impl Environment for SimEnvironment {
    fn now_ms(&self) -> i64 {
        self.runtime.now_ms()
    }

    async fn sleep_ms(&self, ms: u64) {
        let until = self.runtime.now_ms() + i64::try_from(ms).unwrap_or(i64::MAX / 2);
        self.runtime.suspend(TaskStatus::Sleeping(until)).await;
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.runtime.fill_random(bytes);
    }

    fn log(&self, line: &str) {
        self.runtime.trace_current(|| format!("logs: {line}"));
    }
}
