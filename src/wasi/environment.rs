//! Time, waiting and random numbers from WASI.

use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use crate::environment::Environment;

/// The host's clocks, random numbers and standard error.
#[derive(Debug)]
pub struct Wasi;

impl Environment for Wasi {
    fn now_ms(&self) -> i64 {
        // The host's clock is not before 1970.
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
    }

    #[cfg(feature = "wasi-p3")]
    async fn sleep_ms(&self, ms: u64) {
        let wait = Duration::from_millis(ms);
        let ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        spin_sdk::wasip3::clocks::monotonic_clock::wait_for(ns).await;
    }

    /// An instance has one request at a time, so it may block.
    #[cfg(feature = "wasi-p2")]
    async fn sleep_ms(&self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        // The host traps when it has no random numbers to give.
        getrandom::fill(bytes).expect("wasi:random always answers");
    }

    fn log(&self, line: &str) {
        // One write: standard error has no buffer, and each is a call of the host.
        let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    }
}
