//! Simulated time, patience and chance.

use std::rc::Rc;

use anonymous_domains::environment::Environment;

use crate::world::{At, World};

/// The environment of a request.
#[derive(Debug, Clone)]
pub struct SimEnvironment {
    pub world: Rc<World>,
}

impl Environment for SimEnvironment {
    fn now_ms(&self) -> i64 {
        self.world.now_ms()
    }

    async fn sleep_ms(&self, ms: u64) {
        let until = self.world.now_ms() + i64::try_from(ms).unwrap_or(i64::MAX / 2);
        self.world.pause(At::Sleep(until)).await;
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.world.fill_random(bytes);
    }

    fn log(&self, line: &str) {
        self.world.trace_call(|| format!("logs: {line}"));
    }
}
