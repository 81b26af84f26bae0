//! How often the machine itself keeps a program from running: what no server can do anything about.

use std::{
    thread,
    time::{Duration, Instant},
};

/// A gap between two looks at the clock that is longer is a pause.
const PAUSE: Duration = Duration::from_millis(1);

/// What threads saw that did nothing but read the clock, one for each core.
#[derive(Debug)]
pub struct Pauses {
    /// How much of the time they did not run.
    pub share: f64,
    /// Pauses of all threads in a second.
    pub per_second: f64,
    /// The longest, in milliseconds.
    pub longest_ms: f64,
}

/// Watches the clock for a while.
pub fn measure(time: Duration) -> Pauses {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pauses: Vec<Vec<Duration>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| watch(time))).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(Result::unwrap_or_default).collect()
    });
    let all = || pauses.iter().flatten();
    let seconds = time.as_secs_f64();
    Pauses {
        share: all().sum::<Duration>().as_secs_f64() / (seconds * cores as f64),
        per_second: all().count() as f64 / seconds,
        longest_ms: all()
            .max()
            .map_or(0.0, |longest| longest.as_secs_f64() * 1e3),
    }
}

fn watch(time: Duration) -> Vec<Duration> {
    let began = Instant::now();
    let mut before = began;
    let mut pauses = Vec::new();
    while before - began < time {
        let now = Instant::now();
        if now - before > PAUSE {
            pauses.push(now - before);
        }
        before = now;
    }
    pauses
}
