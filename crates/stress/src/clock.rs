//! The clock of a run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of a run, in nanoseconds since its start. If one request ended at an earlier moment than
/// another one started, it was answered before the other was sent.
pub type Moment = u64;

/// The moment that is `time` later, or the last moment that can be represented.
pub fn after(moment: Moment, time: Duration) -> Moment {
    moment.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(Moment::MAX))
}

/// Gives moments, and what a machine writes into `iat`. Neither ever goes back, even if the system's
/// clock does: a machine's requests must not overtake each other.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    unix_start: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            unix_start: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }
}

impl Clock {
    /// Now.
    pub fn now(&self) -> Moment {
        after(0, self.start.elapsed())
    }

    /// When a moment is or was.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.start + Duration::from_nanos(moment)
    }

    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_ms(&self) -> i64 {
        let now = self.unix_start + self.start.elapsed();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }
}
