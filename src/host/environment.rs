//! Time, waiting and random numbers from WASI.

use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};

use crate::environment::Environment;

/// The host's clocks, random numbers and standard error.
#[derive(Debug)]
pub struct Wasi;

impl Environment for Wasi {
    fn now_ms(&self) -> i64 {
        let now = system_clock::now();
        now.seconds * 1000 + i64::from(now.nanoseconds / 1_000_000)
    }

    async fn sleep_ms(&self, ms: u64) {
        monotonic_clock::wait_for(ms * 1_000_000).await;
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        // The host traps when it has no random numbers to give.
        getrandom::fill(bytes).expect("wasi:random always answers");
    }

    fn log(&self, line: &str) {
        eprintln!("{line}");
    }
}
